import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube/object';
import { call } from '../testing/http-call.ts';
import { nodeObject, podObject } from '../testing/objects.ts';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** What Services of Kubernetes say about their endpoints, as a client in zone `a` on node `node-1` sees it through a real Envoy. */

const net = new LoopbackNet();
const PORT = 80;
/** Servers by the last byte of their address: on the client's node, in its zone, in another zone. */
const servers = { node: 11, zone: 12, far: 13 } as const;
const nodes = { node: 'node-1', zone: 'node-2', far: 'node-3' } as const;
const everywhere = (['node', 'zone', 'far'] as const).map((name) => ({ last: servers[name], node: nodes[name] }));

let next = 30;
/** A service with these pods, whose Service has more in its `spec`. */
function service(
  name: string,
  pods: readonly { readonly last: number; readonly node: string }[],
  spec: object,
): readonly KubeObject[] {
  return loopbackApp(net, name, { last: next++, port: PORT, protocol: 'http' }, pods).map((object) =>
    object.kind === 'Service' ? { ...object, spec: { ...(object.spec as object), ...spec } } : object,
  );
}

const notReady = (objects: readonly KubeObject[]): readonly KubeObject[] =>
  objects.map((object) =>
    object.kind === 'EndpointSlice'
      ? {
          ...object,
          endpoints: (object.endpoints as readonly object[]).map((one) => ({ ...one, conditions: { ready: false } })),
        }
      : object,
  );

/** The same pods in a second slice with their IPv6 addresses. */
function withIpv6(objects: readonly KubeObject[], address: string): readonly KubeObject[] {
  return objects.flatMap((object) => {
    if (object.kind !== 'EndpointSlice') return [object];
    const endpoints = (object.endpoints as readonly object[]).map((one) => ({ ...one, addresses: [address] }));
    const metadata = { ...object.metadata, name: `${object.metadata.name}-v6` };
    return [object, { ...object, metadata, addressType: 'IPv6', endpoints }];
  });
}

const origins: Origin[] = [];
let envoy: OfflineEnvoy;
let hasIpv6 = false;
before(async () => {
  for (const [name, last] of Object.entries(servers)) origins.push(await startOrigin(name, net.ip(last), ORIGIN_PORT));
  const six = await startOrigin('six', '::1', ORIGIN_PORT).catch(() => undefined);
  if (six) origins.push(six);
  hasIpv6 = six !== undefined;
  const distributed = (name: string, trafficDistribution: string, pods = everywhere) =>
    service(name, pods, { trafficDistribution });
  envoy = await startOfflineEnvoy({
    net,
    proxy: { name: 'client', namespace: 'default', ipAddress: net.everywhere },
    objects: [
      nodeObject('node-1', 'r', 'a'),
      nodeObject('node-2', 'r', 'a'),
      nodeObject('node-3', 'r', 'b'),
      podObject({ name: 'client', ip: net.everywhere, node: 'node-1' }),
      ...service('any', everywhere, {}),
      ...distributed('close', 'PreferClose'),
      ...distributed('zone', 'PreferSameZone'),
      ...distributed('same-node', 'PreferSameNode'),
      ...distributed('none-near', 'PreferClose', everywhere.slice(2)),
      ...service('local', everywhere, { internalTrafficPolicy: 'Local' }),
      ...service('local-elsewhere', everywhere.slice(1), { internalTrafficPolicy: 'Local' }),
      ...notReady(service('early', everywhere, { publishNotReadyAddresses: true })),
      ...notReady(service('late', everywhere, {})),
      // Nobody is at the IPv4 address.
      ...withIpv6(service('dual', [{ last: 99, node: 'node-1' }], {}), '::1'),
    ],
  });
});
after(async () => {
  await envoy?.stop();
  await Promise.all(origins.map((origin) => origin.close()));
});

async function who(name: string): Promise<readonly string[]> {
  const seen = new Set<string>();
  for (let i = 0; i < 24; i++) {
    const answer = await call('/', { address: net.everywhere, port: PORT, host: name });
    seen.add(answer.seen?.origin ?? String(answer.status));
  }
  return [...seen].sort();
}

test('all endpoints, where a Service says nothing', async () => {
  assert.deepEqual(await who('any'), ['far', 'node', 'zone']);
});

for (const [name, wanted] of [
  ['close', ['node', 'zone']],
  ['zone', ['node', 'zone']],
  ['same-node', ['node']],
  ['none-near', ['far']],
] as const)
  test(`trafficDistribution: ${name}`, async () => {
    assert.deepEqual(await who(name), wanted);
  });

test('internalTrafficPolicy: Local keeps requests on the node, or refuses them', async () => {
  assert.deepEqual(await who('local'), ['node']);
  assert.deepEqual(await who('local-elsewhere'), ['503']);
});

test('publishNotReadyAddresses: endpoints take part before they are ready', async () => {
  assert.deepEqual(await who('early'), ['far', 'node', 'zone']);
  assert.deepEqual(await who('late'), ['503']);
});

test('dual stack: the other family where one does not answer', async (t) => {
  if (!hasIpv6) return t.skip('this machine has no IPv6, or the port is taken');
  assert.deepEqual(await who('dual'), ['six']);
});
