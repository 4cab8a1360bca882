import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CliError } from '../cli/failure.ts';
import { bootstrapTable } from './bootstrap-table.ts';
import { clusterTable, filterClusters } from './cluster-table.ts';
import { parseClusterName } from '@istio-ts/envoy-dump/cluster';
import {
  assignmentsOf,
  type ConfigDump,
  clustersOf,
  listenersOf,
  parseConfigDump,
  parseDocument,
  routesOf,
  section,
} from '@istio-ts/envoy-dump/config-dump';
import { assignedEndpoints, endpointRows } from '@istio-ts/envoy-dump/endpoint';
import { endpointTable, filterEndpoints } from './endpoint-table.ts';
import { extensionsOf, extensionTable } from './extension-table.ts';
import { filterDump } from './filtered-dump.ts';
import { text } from '@istio-ts/envoy-dump/json';
import { filterListeners, listenerTable } from './listener-table.ts';
import { portOf } from '@istio-ts/envoy-dump/listener';
import { filterRoutes, routeTable } from './route-table.ts';
import { matchOf } from '@istio-ts/envoy-dump/route';
import { rootFingerprints, secretTable } from './secret-table.ts';
import { secretRows } from '@istio-ts/envoy-dump/secret';

// Parts of the dumps of a real sidecar, as Envoy's admin port printed them.
const file = (name: string) => readFileSync(join(import.meta.dirname, 'testdata', name), 'utf8');
const dump = parseConfigDump(file('sidecar.json'), 'sidecar.json');
const answer = parseDocument(file('clusters.json'), 'clusters.json', 'JSON');
const names = (resources: readonly Readonly<Record<string, unknown>>[]) =>
  resources.map(({ name }) => text(name)).sort();

test('clusters and their filters', () => {
  const all = clustersOf(dump);
  const subset = 'outbound|5000|v1|helloworld.default.svc.cluster.local';
  const whole = 'outbound|5000||helloworld.default.svc.cluster.local';
  assert.deepEqual(
    names(filterClusters(all, { fqdn: 'helloworld.default.svc.cluster.local' })),
    [whole, subset].sort(),
  );
  assert.deepEqual(names(filterClusters(all, { subset: 'v1' })), [subset]);
  assert.deepEqual(names(filterClusters(all, { direction: 'INBOUND' })), ['inbound|5000||']);
  assert.deepEqual(names(filterClusters(all, { port: 5000, direction: 'outbound' })), [whole, subset].sort());
  assert.deepEqual(filterClusters(all, { port: 500 }), []);
  assert.match(
    clusterTable(all),
    /^helloworld\.default\.svc\.cluster\.local +5000 +v1 +outbound +EDS +helloworld\.default$/m,
  );
  assert.match(clusterTable(all), /^SERVICE FQDN +PORT +SUBSET +DIRECTION +TYPE +DESTINATION RULE\n/);
  assert.match(clusterTable(all), /^xds-grpc +- +- +- +STRICT_DNS$/m);
});

test('names of clusters that pass TLS on are taken apart too', () => {
  assert.deepEqual(parseClusterName('outbound_.443_._.web.shop.svc.cluster.local'), {
    direction: 'outbound',
    port: 443,
    subset: '',
    fqdn: 'web.shop.svc.cluster.local',
  });
  assert.equal(parseClusterName('a|b|c|d').port, undefined);
});

test('listeners and their filters', () => {
  const all = listenersOf(dump);
  const ports = (filter: Parameters<typeof filterListeners>[1]) =>
    filterListeners(all, filter)
      .map(portOf)
      .sort((a, b) => a - b);
  assert.deepEqual(ports({}), [443, 5000, 15006, 15090]);
  assert.deepEqual(ports({ address: '10.96.0.1' }), [443]);
  assert.deepEqual(ports({ port: 5000 }), [5000]);
  assert.deepEqual(ports({ type: 'http' }), [5000, 15006, 15090]);
  assert.deepEqual(ports({ type: 'tcp' }), [443, 5000, 15006]);
  assert.deepEqual(ports({ type: 'HTTP+TCP' }), [5000, 15006]);
  assert.deepEqual(ports({ type: 'UNKNOWN' }), []);
  const shown = listenerTable(all, true);
  assert.match(shown, /^0\.0\.0\.0 +5000 +Trans: raw_buffer; App: http\/1\.1,h2c +Route: 5000$/m);
  assert.match(
    shown,
    /^0\.0\.0\.0 +15006 +Trans: tls; Addr: \*:5000 +Inline Route: \/\* -> Cluster: inbound\|5000\|\|$/m,
  );
  assert.match(listenerTable(all, false), /^ADDRESSES +PORT +TYPE\n10\.96\.0\.1 +443 +TCP\n/);
});

test('a listener with more addresses is found by each', () => {
  const listener = {
    address: { socketAddress: { address: '0.0.0.0', portValue: 80 } },
    additionalAddresses: [{ address: { socketAddress: { address: '::', portValue: 80 } } }],
    filterChains: [],
  };
  assert.equal(filterListeners([listener], { address: '::' }).length, 1);
  assert.match(listenerTable([listener], false), /^0\.0\.0\.0,:: +80 +UNKNOWN$/m);
});

test('routes and their filter', () => {
  const all = routesOf(dump);
  assert.deepEqual(names(filterRoutes(all, { name: '5000' })), ['5000']);
  assert.deepEqual(names(filterRoutes(all, { name: '80, 5000' })), ['5000', '80']);
  assert.deepEqual(names(filterRoutes(all, { name: '500' })), []);
  const shown = routeTable(all);
  assert.match(shown, /^NAME +VHOST NAME +DOMAINS +MATCH +VIRTUAL SERVICE\n80 /);
  assert.match(
    shown,
    /^5000 +helloworld\.default\.svc\.cluster\.local:5000 +helloworld, helloworld\.default \+ 3 more\.\.\. +\/\* \(x-canary\) +helloworld-inside\.default$/m,
  );
  assert.match(routeTable(all, false), /^NAME +VIRTUAL HOSTS\n80 +4\n5000 +2\n/);
});

test('what a route matches', () => {
  assert.equal(matchOf({ match: { path: '/a' } }), '/a');
  assert.equal(matchOf({ match: { pathSeparatedPrefix: '/a' } }), 'PathPrefix:/a');
  assert.equal(matchOf({ match: { safeRegex: { regex: '.*' }, queryParameters: [{ name: 'q' }] } }), 'regex .* (?q)');
  assert.equal(matchOf({}), '*');
});

test('endpoints of /clusters and their filters', () => {
  const rows = endpointRows(answer);
  const count = (filter: Parameters<typeof filterEndpoints>[1]) => filterEndpoints(rows, filter).length;
  assert.equal(count({}), 5);
  assert.equal(count({ address: '10.244.0.5' }), 2);
  assert.equal(count({ address: '10.244.0' }), 0);
  assert.equal(count({ port: 15012 }), 1);
  assert.equal(count({ cluster: 'outbound|5000|v1|helloworld.default.svc.cluster.local' }), 1);
  assert.equal(count({ status: 'healthy' }), 5);
  assert.equal(count({ status: 'unhealthy' }), 0);
  assert.match(
    endpointTable(rows),
    /^10\.244\.0\.5:5000 +HEALTHY +OK +outbound\|5000\|v1\|helloworld\.default\.svc\.cluster\.local$/m,
  );
  assert.match(endpointTable(rows), /^unix:\/\/\S+ +HEALTHY +OK +sds-grpc$/m);
});

test('the health of an endpoint', () => {
  const of = (healthStatus: object) =>
    endpointRows({ clusterStatuses: [{ name: 'c', hostStatuses: [{ healthStatus }] }] })[0];
  assert.equal(of({ edsHealthStatus: 'DRAINING' })?.status, 'DRAINING');
  assert.equal(of({ edsHealthStatus: 'HEALTHY', failedActiveHealthCheck: true })?.status, 'UNHEALTHY');
  assert.equal(of({ edsHealthStatus: 'HEALTHY', failedOutlierCheck: true })?.outlier, 'FAILED');
});

test('endpoints of a configuration dump tell their locality', () => {
  const shown = endpointTable(assignedEndpoints(assignmentsOf(dump)));
  assert.match(shown, /^ENDPOINT +STATUS +LOCALITY +CLUSTER\n10\.244\.0\.5:5000 +HEALTHY +local\/local-a +outbound/);
});

test('certificates, valid and not', () => {
  const at = (time: string) => secretTable(secretRows(dump), new Date(time));
  assert.match(
    at('2026-11-22T04:00:00Z'),
    /^default +Cert Chain +ACTIVE +true +74f88d9004b8a4dd2e096ec4ad41a142 +2026-11-23T03:14:08Z +2026-11-22T03:12:08Z +cluster\.local$/m,
  );
  assert.match(at('2027-11-22T04:00:00Z'), /^default +Cert Chain +ACTIVE +false /m);
  assert.match(at('2027-11-22T04:00:00Z'), /^ROOTCA +CA +ACTIVE +true /m);
  assert.equal(rootFingerprints(dump).length, 1);
});

test('a certificate that cannot be read is not valid, and no failure', () => {
  const rows = ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'x', ''].map((pem) => ({
    name: `broken${pem.length}`,
    type: 'CA' as const,
    state: 'ACTIVE' as const,
    pem,
  }));
  assert.match(secretTable(rows, new Date(0)), /^broken1 +CA +ACTIVE +false$/m);
});

test('which proxy a bootstrap is of', () => {
  assert.match(
    bootstrapTable(section(dump, 'BootstrapConfigDump') ?? {}),
    /^sidecar~10\.244\.0\.5~helloworld-v1-\S+\.default~\S+ +Kubernetes +1\.30\.0 +\d+\.\d+\.\d+ +istiod\.istio-system\.svc:15012$/m,
  );
});

test('several extensions', () => {
  const ecds = (name: string) => ({
    versionInfo: '1',
    ecdsFilter: { name, typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm' } },
  });
  const made = {
    configs: [{ '@type': 'type.googleapis.com/envoy.admin.v3.EcdsConfigDump', ecdsFilters: [ecds('a'), ecds('b')] }],
  };
  assert.match(extensionTable(extensionsOf(made)), /^a +envoy\S+Wasm +1 +-\nb +envoy/m);
  assert.match(extensionTable(extensionsOf(dump)), /has no extension/);
});

test('filters of a whole dump narrow the parts that have such a property', () => {
  const of = (filter: Parameters<typeof filterDump>[1]) => filterDump(dump, filter);
  const byPort = of({ port: 5000 });
  assert.deepEqual(listenersOf(byPort).map(portOf), [5000]);
  assert.equal(clustersOf(byPort).length, 3);
  assert.equal(routesOf(byPort).length, routesOf(dump).length);
  assert.equal(assignmentsOf(byPort).length, 2);
  assert.deepEqual(names(routesOf(of({ name: '80' }))), ['80']);
  assert.deepEqual(names(clustersOf(of({ direction: 'inbound' }))), ['inbound|5000||']);
  assert.equal(assignmentsOf(of({ subset: 'v1' })).length, 1);
  assert.deepEqual(listenersOf(of({ type: 'tcp', address: '10.96.0.1' })).map(portOf), [443]);
});

test('odd dumps never throw', () => {
  const odd: ConfigDump[] = [
    { configs: [] },
    parseConfigDump('{"configs":[null,1,"x",[],{}]}', 'odd'),
    ...['Clusters', 'Listeners', 'Routes', 'Secrets', 'Endpoints', 'Ecds', 'Bootstrap'].flatMap((kind) =>
      [
        null,
        'x',
        [null],
        [[]],
        [{ cluster: 1, listener: [], route_config: 'x', active_state: { listener: null } }],
      ].map((value) =>
        parseConfigDump(
          JSON.stringify({
            configs: [
              {
                '@type': `type.googleapis.com/envoy.admin.v3.${kind}ConfigDump`,
                static_clusters: value,
                dynamic_active_clusters: value,
                static_listeners: value,
                dynamic_listeners: value,
                static_route_configs: value,
                dynamic_active_secrets: value,
                dynamic_endpoint_configs: value,
                ecds_filters: value,
                bootstrap: value,
              },
            ],
          }),
          'odd',
        ),
      ),
    ),
  ];
  for (const one of odd)
    for (const filtered of [one, filterDump(one, { port: 1, fqdn: 'a', type: 'HTTP', name: 'x' })]) {
      clusterTable(clustersOf(filtered));
      listenerTable(listenersOf(filtered), true);
      routeTable(routesOf(filtered));
      secretTable(secretRows(filtered), new Date(0));
      endpointTable(assignedEndpoints(assignmentsOf(filtered)));
      extensionTable(extensionsOf(filtered));
      bootstrapTable(section(filtered, 'BootstrapConfigDump') ?? {});
      rootFingerprints(filtered);
    }
  for (const broken of ['', '[]', '{}', '{"configs":1}', 'null'])
    assert.throws(() => parseConfigDump(broken, 'f'), CliError);
});
