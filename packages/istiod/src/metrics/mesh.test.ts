import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import { MetricsRegistry } from '@istio-ts/metrics';
import { istioObject, podObject, serviceObject, sliceObject } from '@istio-ts/xds/testing/objects';
import { registerMeshMetrics } from './mesh.ts';

/** The mesh's gauges after the objects. */
function gauges(objects: readonly Parameters<MeshSources['set']>[0][]): (name: string) => number {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources);
  for (const object of objects) sources.set(object);
  const metrics = new MetricsRegistry();
  registerMeshMetrics(metrics, mesh, sources);
  const text = metrics.text();
  return (name) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}

const port = { name: 'http', port: 80 };
const app = [
  serviceObject({ name: 'app' }, [port]),
  podObject({ name: 'app-0', ip: '10.0.0.1' }),
  sliceObject('app', [port], [{ ip: '10.0.0.1', pod: 'app-0' }]),
];
const virtualService = (name: string, more: object = {}) =>
  istioObject(
    'VirtualService',
    { name },
    { hosts: ['app'], http: [{ route: [{ destination: { host: 'app' } }] }], ...more },
  );

test('a mesh in order has nothing to complain about', () => {
  const value = gauges([...app, virtualService('one')]);
  assert.deepEqual(
    ['pilot_services', 'pilot_virt_services', 'pilot_vservice_dup_domain', 'pilot_eds_no_instances', 'pilot_no_ip'].map(
      value,
    ),
    [1, 1, 0, 0, 0],
  );
});

test('hosts of several VirtualServices, where somebody sees both', () => {
  const dup = (...more: object[]) =>
    gauges([...app, ...more.map((one, i) => virtualService(`vs-${i}`, one))])('pilot_vservice_dup_domain');
  assert.equal(dup({}, { hosts: ['app.default.svc.cluster.local'] }), 1);
  assert.equal(dup({}, { gateways: ['edge'] }), 0);
  assert.equal(dup({ exportTo: ['.'] }, { exportTo: ['other'] }), 0);
});

test('subsets of several DestinationRules for one host', () => {
  const rule = (name: string, ...subsets: string[]) =>
    istioObject('DestinationRule', { name }, { host: 'app', subsets: subsets.map((one) => ({ name: one })) });
  const value = gauges([...app, rule('a', 'v1', 'v2'), rule('b', 'v2', 'v3')]);
  assert.equal(value('pilot_destrule_subsets'), 1);
});

test('endpoints that are missing or not ready, and pods that nobody can reach by a service', () => {
  const value = gauges([
    ...app,
    serviceObject({ name: 'empty' }, [port]),
    serviceObject({ name: 'starting' }, [port]),
    podObject({ name: 'starting-0', ip: '10.0.0.2' }),
    sliceObject('starting', [port], [{ ip: '10.0.0.2', pod: 'starting-0', ready: false }]),
    podObject({ name: 'alone', ip: '10.0.0.3' }),
    podObject({ name: 'no-proxy', ip: '10.0.0.4', mesh: false }),
  ]);
  assert.deepEqual(
    ['pilot_services', 'pilot_eds_no_instances', 'pilot_endpoint_not_ready', 'pilot_no_ip'].map(value),
    [3, 2, 1, 1],
  );
});

test('ServiceEntries that take each other’s place', () => {
  const entry = (name: string, host: string, protocol: string, more: object = {}) =>
    istioObject(
      'ServiceEntry',
      { name },
      { hosts: [host], ports: [{ number: 9000, name: 'p', protocol }], resolution: 'NONE', ...more },
    );
  const value = gauges([
    entry('a', 'a.test', 'TCP'),
    entry('b', 'b.test', 'TCP'),
    entry('c', 'c.test', 'HTTP'),
    entry('again', 'a.test', 'TCP'),
    entry('nameless', '*.wild.test', 'HTTP', { resolution: 'STATIC' }),
  ]);
  assert.equal(value('pilot_conflict_outbound_listener_tcp_over_current_tcp'), 1);
  assert.equal(value('pilot_duplicate_envoy_clusters'), 1);
});

test('clusters to be resolved by DNS without any name', () => {
  const entry = (name: string, more: object) =>
    istioObject(
      'ServiceEntry',
      { name },
      { hosts: [`${name}.test`], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], resolution: 'DNS', ...more },
    );
  const chosen = { workloadSelector: { labels: { app: 'chosen' } } };
  const metric = 'pilot_dns_cluster_without_endpoints';
  assert.equal(gauges([entry('own', {}), entry('named', { endpoints: [{ address: 'other.test' }] })])(metric), 0);
  assert.equal(gauges([entry('empty', chosen)])(metric), 1);
  const machine = istioObject(
    'WorkloadEntry',
    { name: 'machine' },
    { address: 'machine.test', labels: { app: 'chosen' } },
  );
  assert.equal(gauges([entry('filled', chosen), machine])(metric), 0);
});
