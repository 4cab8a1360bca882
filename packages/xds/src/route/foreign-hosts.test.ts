import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube/object';
import { call } from '../testing/http-call.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import { loopbackApp, LoopbackNet, ORIGIN_PORT, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** A namespace that claims the hosts of another one: what a client of a third namespace gets, with and without the setting that forbids it. */

const net = new LoopbackNet();
const CART = 'cart.shop.svc.cluster.local';
const BANK = 'bank.shop.svc.cluster.local';

const claim = (name: string, hosts: readonly string[]): KubeObject =>
  istioObject(
    'VirtualService',
    { name, namespace: 'thief' },
    { hosts, http: [{ route: [{ destination: { host: 'own.thief.svc.cluster.local' } }] }] },
  );
const entry = (host: string): KubeObject =>
  istioObject(
    'ServiceEntry',
    { name: 'entry', namespace: 'thief' },
    {
      hosts: [host],
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      resolution: 'STATIC',
      location: 'MESH_INTERNAL',
      endpoints: [{ address: net.ip(5), ports: { http: ORIGIN_PORT } }],
    },
  );

const objects: readonly KubeObject[] = [
  podObject({ name: 'client-0', namespace: 'third', labels: { app: 'client' }, ip: net.ip(9) }),
  ...loopbackApp(net, 'cart', { last: 11, port: 80, protocol: 'http', namespace: 'shop' }, [{ last: 4 }]),
  ...loopbackApp(net, 'bank', { last: 12, port: 80, protocol: 'http', namespace: 'shop' }, [{ last: 4 }]),
  ...loopbackApp(net, 'till', { last: 13, port: 80, protocol: 'http', namespace: 'shop' }, [{ last: 4 }]),
  ...loopbackApp(net, 'own', { last: 14, port: 80, protocol: 'http', namespace: 'thief' }, [{ last: 5 }]),
  claim('exact', [CART]),
  // A definition of one's own does not make the host one's own.
  entry(BANK),
  claim('defined', [BANK]),
  claim('suffix', ['*.shop.svc.cluster.local']),
];

const origins: Origin[] = [];
before(async () => {
  origins.push(await startOrigin('shop', net.ip(4), ORIGIN_PORT), await startOrigin('thief', net.ip(5), ORIGIN_PORT));
});
after(async () => {
  for (const origin of origins) await origin.close();
});

/** Who answers a client of a namespace. */
async function answers(
  namespace: string,
  forbidsForeignHosts: boolean,
  more: readonly KubeObject[] = [],
): Promise<Readonly<Record<string, string | undefined>>> {
  const envoy = await startOfflineEnvoy({
    net,
    objects: [...objects, ...more],
    proxy: { name: 'client-0', namespace, ipAddress: net.ip(9) },
    mesh: { forbidsForeignHosts },
  });
  try {
    const found: Record<string, string | undefined> = {};
    for (const name of ['cart', 'bank', 'till', 'own']) {
      const host = `${name}.${name === 'own' ? 'thief' : 'shop'}.svc.cluster.local`;
      found[name] = (await call('/', { address: net.everywhere, port: 80, host })).seen?.origin;
    }
    return found;
  } finally {
    await envoy.stop();
  }
}

test('by default a VirtualService takes over what clients of other namespaces send to a host', async () => {
  assert.deepEqual(await answers('third', false), { cart: 'thief', bank: 'thief', till: 'thief', own: 'thief' });
});

test('a ServiceEntry alone does not, for a Service of Kubernetes keeps its host', async () => {
  const withoutRoutes = objects.filter(({ kind }) => kind !== 'VirtualService');
  const envoy = await startOfflineEnvoy({
    net,
    objects: withoutRoutes,
    proxy: { name: 'client-0', namespace: 'third', ipAddress: net.ip(9) },
  });
  try {
    assert.equal((await call('/', { address: net.everywhere, port: 80, host: BANK })).seen?.origin, 'shop');
  } finally {
    await envoy.stop();
  }
});

test('where that is forbidden (ISTIO_TS_FORBID_FOREIGN_HOSTS) it does so for its own clients only', async () => {
  assert.deepEqual(await answers('third', true), { cart: 'shop', bank: 'shop', till: 'shop', own: 'thief' });
  const insider = podObject({ name: 'client-0', namespace: 'thief', labels: { app: 'client' }, ip: net.ip(9) });
  assert.equal((await answers('thief', true, [insider])).cart, 'thief');
});
