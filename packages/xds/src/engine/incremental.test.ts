import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RouteConfiguration, VirtualHost } from '@istio-ts/envoy';
import type { KubeObject } from '@istio-ts/kube/object';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import fc from 'fast-check';
import type { XdsResource } from '../source.ts';
import { application, istioObject, podObject, serviceObject, sliceObject } from '../testing/objects.ts';
import { chartMeshConfig, createEngine, generateOffline, typeUrls } from './index.ts';
import { virtualHostUrl } from './type-urls.ts';

const names = ['a', 'b', 'c'];
const name = fc.constantFrom(...names);
const namespace = fc.constantFrom('default', 'istio-system', 'other');
const port = fc.constantFrom(
  { name: 'http', port: 80 },
  { name: 'grpc', port: 80 },
  { name: 'tcp', port: 81 },
  { name: 'web', port: 82 },
);
const meta = fc.record({ name, namespace });

const change: fc.Arbitrary<KubeObject> = fc.oneof(
  fc.tuple(meta, port).map(([m, p]) => serviceObject(m, [{ ...p, targetPort: 8080 }])),
  fc
    .tuple(meta, fc.boolean())
    .map(([m, mesh]) =>
      podObject({ ...m, labels: { app: m.name, version: 'v1' }, ip: `10.0.0.${m.name.charCodeAt(0)}`, mesh }),
    ),
  fc
    .tuple(meta, port, fc.boolean())
    .map(([m, p, ready]) =>
      sliceObject(
        m.name,
        [{ name: p.name, port: 8080 }],
        [{ ip: `10.0.0.${m.name.charCodeAt(0)}`, pod: m.name, ready }],
        m.namespace,
      ),
    ),
  fc.tuple(meta, name, fc.constantFrom('1s', '2s')).map(([m, host, timeout]) =>
    istioObject('VirtualService', m, {
      hosts: [host],
      gateways: ['mesh', 'a'],
      http: [
        { timeout, ...(timeout === '2s' && { retries: { attempts: 1 } }), route: [{ destination: { host: m.name } }] },
      ],
    }),
  ),
  fc.tuple(meta, name, fc.constantFrom('RANDOM', 'ROUND_ROBIN', 'PASSTHROUGH')).map(([m, host, simple]) =>
    istioObject('DestinationRule', m, {
      host,
      trafficPolicy: { loadBalancer: { simple } },
      subsets: [{ name: 'v1', labels: { version: 'v1' } }],
    }),
  ),
  fc
    .tuple(meta, fc.constantFrom('./*', '*/*'))
    .map(([m, host]) => istioObject('Sidecar', m, { egress: [{ hosts: [host] }] })),
  fc
    .tuple(meta, fc.constantFrom('STRICT', 'DISABLE'))
    .map(([m, mode]) => istioObject('PeerAuthentication', m, { mtls: { mode } })),
  fc.tuple(meta, fc.boolean()).map(([m, disabled]) =>
    istioObject('Telemetry', m, {
      metrics: [{ providers: [{ name: 'prometheus' }], overrides: [{ match: { metric: 'REQUEST_COUNT' }, disabled }] }],
      accessLogging: [{ disabled }],
    }),
  ),
  fc.tuple(meta).map(([m]) =>
    istioObject('Gateway', m, {
      selector: { istio: 'gw' },
      servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
    }),
  ),
  fc.tuple(meta, fc.constantFrom('DNS', 'NONE')).map(([m, resolution]) =>
    istioObject('ServiceEntry', m, {
      hosts: [`${m.name}.example.com`],
      ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
      resolution,
    }),
  ),
);

const proxies = [
  { type: 'sidecar', name: 'client', namespace: 'default', labels: { app: 'client' } },
  { type: 'sidecar', name: 'a', namespace: 'other', labels: { app: 'a' } },
  { type: 'router', name: 'gw', namespace: 'istio-system', labels: { istio: 'gw' } },
] as const;

/** Those that take their routes whole, and one that takes them host by host. */
const clients = [...proxies, { ...proxies[0], incrementalRoutes: true }] as const;

/** Domains and routes of all virtual hosts, by route configuration and in the order of their names, whatever way they are sent. */
function hostsOf(routes: Iterable<XdsResource>, hosts: Iterable<XdsResource> = []): Record<string, unknown> {
  const found: [string, unknown][] = [];
  for (const route of routes) {
    const { virtualHosts = [] } = route.json() as RouteConfiguration;
    for (const host of virtualHosts) found.push([`${route.name}/${host.name}`, { ...host, name: '' }]);
  }
  for (const host of hosts) found.push([host.name, { ...(host.json() as VirtualHost), name: '' }]);
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const versions = (resources: Iterable<XdsResource>): Record<string, string> =>
  Object.fromEntries([...resources].map((one): [string, string] => [one.name, one.version]).sort());

describe('the engine, incrementally', () => {
  it('has what it would have from scratch, after any changes, and says which types changed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.tuple(fc.boolean(), change), { minLength: 1, maxLength: 3 }), { maxLength: 6 }),
        (batches) => {
          const sources = new MeshSources({ meshConfig: chartMeshConfig() });
          const engine = createEngine(createMesh(sources), {
            schedule: () => {},
            onError: ({ error }) => {
              throw error;
            },
          });
          const objects = new Map<string, KubeObject>();
          const put = (object: KubeObject): void => {
            objects.set(`${object.kind} ${object.metadata.namespace}/${object.metadata.name}`, object);
            sources.set(object);
          };
          for (const object of application('c', { name: 'http', port: 80 }, [{ version: 'v1' }])) put(object);
          const views = clients.map(({ type, name, namespace, labels, ...client }) => {
            const view = engine.connect({
              id: name,
              cluster: name,
              type,
              ipAddress: '10.244.0.1',
              podName: name,
              namespace,
              dnsDomain: `${namespace}.svc.cluster.local`,
              locality: { region: '', zone: '', subzone: '' },
              metadata: { LABELS: labels, NAMESPACE: namespace },
              envoyVersion: undefined,
              identity: `spiffe://cluster.local/ns/${namespace}/sa/default`,
              ...client,
            });
            for (const url of Object.values(typeUrls)) view.resources(url);
            view.virtualHosts?.();
            const told = new Set<string>();
            view.onChange((changed) => {
              for (const url of changed) told.add(url);
            });
            return { view, told };
          });
          for (const batch of batches) {
            const before = views.map(({ view, told }) => {
              told.clear();
              const urls = [...Object.values(typeUrls), virtualHostUrl];
              return new Map(urls.map((url) => [url, view.resources(url)] as const));
            });
            sources.batch(() => {
              for (const [remove, object] of batch) {
                if (!remove) put(object);
                else {
                  objects.delete(`${object.kind} ${object.metadata.namespace}/${object.metadata.name}`);
                  sources.delete(object);
                }
              }
            });
            engine.flush();
            views.forEach(({ view, told }, i) => {
              const proxy = clients[i]!;
              const fresh = generateOffline(objects.values(), { ...proxy, ipAddress: '10.244.0.1' });
              const split = 'incrementalRoutes' in proxy;
              if (split) {
                const tables = [...(view.virtualHosts?.() ?? new Map()).values()];
                assert.deepEqual(
                  hostsOf(
                    view.resources(typeUrls.route).values(),
                    tables.flatMap((table) => [...table.values()]),
                  ),
                  hostsOf(fresh.resources.get(typeUrls.route) ?? []),
                  `virtual hosts of ${proxy.name}`,
                );
                if (view.resources(virtualHostUrl) !== before[i]?.get(virtualHostUrl))
                  assert.ok(told.has(virtualHostUrl), `virtual hosts of ${proxy.name} were announced`);
              }
              for (const [type, url] of Object.entries(typeUrls)) {
                if (split && url === typeUrls.route) continue;
                assert.deepEqual(
                  versions(view.resources(url).values()),
                  versions(fresh.resources.get(url) ?? []),
                  `${type} of ${proxy.name}`,
                );
                if (view.resources(url) !== before[i]?.get(url) && view.resources(url).size > 0)
                  assert.ok(told.has(url), `${type} of ${proxy.name} was announced`);
              }
            });
          }
          for (const { view } of views) view.close();
          assert.deepEqual(engine.state(), { proxies: 0, classes: 0, endpointTables: 0 });
        },
      ),
      { numRuns: 25 },
    );
  });
});
