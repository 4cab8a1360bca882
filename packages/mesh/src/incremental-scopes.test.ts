import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KubeObject } from '@istio-ts/kube/object';
import fc from 'fast-check';
import type { ProxyScope } from './index.ts';
import { facts, istio, pod, service, slice, world } from './world.test-support.ts';

describe('incremental scopes', () => {
  const names = ['a', 'b', 'c'];
  const namespaces = ['default', 'istio-system', 'other'];
  const pick = <T>(...values: readonly T[]) => fc.constantFrom(...values);
  const meta = fc.record({
    namespace: pick(...namespaces),
    creationTimestamp: pick('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
  });
  const name = pick(...names);
  const labels = fc.record({ app: name, version: pick('v1', 'v2') });
  const objects: fc.Arbitrary<KubeObject> = fc.oneof(
    fc
      .tuple(name, meta, pick(undefined, '.', '*', 'other'))
      .map(([n, m, to]) =>
        service(n, {}, { ...m, ...(to && { annotations: { 'networking.istio.io/exportTo': to } }) }),
      ),
    fc.tuple(name, meta, labels).map(([n, m, l]) => pod(n, l, `10.0.0.${n.charCodeAt(0)}`, m)),
    fc.tuple(name, meta, name, fc.boolean()).map(([n, m, p, ready]) => {
      const one = slice(n, [
        { addresses: [`10.0.0.${p.charCodeAt(0)}`], conditions: { ready }, targetRef: { kind: 'Pod', name: p } },
      ]);
      return { ...one, metadata: { ...one.metadata, ...m } };
    }),
    fc
      .tuple(name, meta, name, name)
      .map(([n, m, h, to]) =>
        istio('VirtualService', n, { hosts: [h], http: [{ route: [{ destination: { host: to } }] }] }, m),
      ),
    fc
      .tuple(name, meta, pick('a', 'b', '*.cluster.local'), pick(undefined, { matchLabels: { app: 'a' } }))
      .map(([n, m, h, w]) =>
        istio(
          'DestinationRule',
          n,
          { host: h, subsets: [{ name: n, labels: { version: 'v1' } }], ...(w && { workloadSelector: w }) },
          m,
        ),
      ),
    fc
      .tuple(name, meta, pick('./*', '*/*', 'other/*', '~/*'), pick(undefined, { labels: { app: 'a' } }))
      .map(([n, m, h, w]) => istio('Sidecar', n, { egress: [{ hosts: [h] }], ...(w && { workloadSelector: w }) }, m)),
    fc
      .tuple(name, meta, pick('STRICT', 'DISABLE', 'UNSET'), pick(undefined, { matchLabels: { app: 'a' } }))
      .map(([n, m, mode, s]) => istio('PeerAuthentication', n, { mtls: { mode }, ...(s && { selector: s }) }, m)),
    fc.tuple(name, meta).map(([n, m]) =>
      istio(
        'ServiceEntry',
        n,
        {
          hosts: [`${n}.example.com`],
          ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
          resolution: 'STATIC',
          location: 'MESH_INTERNAL',
          workloadSelector: { labels: { app: n } },
        },
        m,
      ),
    ),
  );
  const steps = fc.array(fc.array(fc.tuple(fc.boolean(), objects), { minLength: 1, maxLength: 4 }), { maxLength: 10 });
  const clients = [facts(), facts('default', { app: 'a' }), facts('other'), facts('istio-system', {}, 'router')];
  const plain = (scope: ProxyScope) => ({ ...scope, autoMutualTls: undefined });

  it('equal scopes made from scratch, after any changes', () => {
    fc.assert(
      fc.property(steps, (batches) => {
        const { sources, mesh, scopes } = world([]);
        const leases = clients.map((client) => scopes.acquire(client));
        const objects = new Map<string, KubeObject>();
        for (const batch of batches) {
          sources.batch(() => {
            for (const [remove, one] of batch) {
              const key = `${one.kind}/${one.metadata.namespace}/${one.metadata.name}`;
              if (remove) {
                objects.delete(key);
                sources.delete(one);
              } else {
                objects.set(key, one);
                sources.set(one);
              }
            }
          });
          const fresh = world([...objects.values()]);
          clients.forEach((client, i) => {
            assert.deepEqual(plain(leases[i]!.value.result.current), plain(fresh.scope(client)));
          });
          assert.deepEqual(
            new Map([...mesh.endpoints.entries()].sort()),
            new Map([...fresh.mesh.endpoints.entries()].sort()),
          );
          assert.deepEqual(
            new Map([...mesh.identities.entries()].sort()),
            new Map([...fresh.mesh.identities.entries()].sort()),
          );
        }
        for (const lease of leases) lease.release();
        assert.equal(scopes.size, 0);
      }),
      { numRuns: 60 },
    );
  });

  it('keep the identity of parts that did not change', () => {
    const { sources, scope } = world([service('a'), service('b'), istio('DestinationRule', 'a', { host: 'a' })]);
    const before = scope();
    sources.set(istio('VirtualService', 'a', { hosts: ['a'], http: [{ route: [{ destination: { host: 'b' } }] }] }));
    const after = scope();
    for (const part of [
      'services',
      'serviceByHost',
      'destinationRules',
      'inbound',
      'gateways',
      'mesh',
      'proxy',
      'peerAuthentication',
      'autoMutualTls',
    ] as const) {
      assert.equal(after[part], before[part], part);
    }
    assert.notEqual(after.virtualServices, before.virtualServices);
    assert.equal(scope(facts('default', { app: 'other' })).services, after.services);
  });
});
