import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { selfSigned, signedBy } from '../testing/certificate.ts';
import { istioObject, podObject, serviceObject } from '../testing/objects.ts';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { tlsGet } from '../testing/tls-client.ts';

/** AUTO_PASSTHROUGH: the client's mutual TLS is passed on to the cluster that its server name says. */

proves('Gateway.spec.servers[].tls.mode');

const net = new LoopbackNet();
const authority = selfSigned('authority');
const pairs = { v1: signedBy(authority, 'v1.test'), v2: signedBy(authority, 'v2.test') };
const origins: Origin[] = [];
let envoy: OfflineEnvoy;

before(async () => {
  for (const [name, last] of [
    ['v1', 2],
    ['v2', 4],
  ] as const)
    origins.push(
      await startOrigin(name, net.ip(last), ORIGIN_PORT, { cert: pairs[name].certificate, key: pairs[name].key }),
    );
  envoy = await startOfflineEnvoy({
    net,
    proxy: { type: 'router', name: 'gw-0', namespace: 'edge', ipAddress: net.everywhere },
    objects: [
      podObject({ name: 'gw-0', namespace: 'edge', labels: { team: 'edge' }, ip: net.everywhere }),
      serviceObject({ name: 'gw', namespace: 'edge' }, [{ name: 'tls', port: 15443 }], { selector: { team: 'edge' } }),
      ...loopbackApp(net, 'app', { last: 3, port: 80, protocol: 'http' }, [
        { last: 2, labels: { version: 'v1' }, mesh: true },
        { last: 4, labels: { version: 'v2' }, mesh: true },
      ]),
      istioObject(
        'DestinationRule',
        { name: 'app' },
        {
          host: 'app.default.svc.cluster.local',
          trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL' } },
          subsets: [{ name: 'v2', labels: { version: 'v2' } }],
        },
      ),
      istioObject(
        'Gateway',
        { name: 'cross-network', namespace: 'edge' },
        {
          selector: { team: 'edge' },
          servers: [
            {
              port: { number: 15443, name: 'tls', protocol: 'TLS' },
              hosts: ['*.local'],
              tls: { mode: 'AUTO_PASSTHROUGH' },
            },
          ],
        },
      ),
    ],
  });
});
after(async () => {
  await envoy?.stop();
  for (const origin of origins) await origin.close();
});

const origin = async (servername: string): Promise<string> => {
  const reply = await tlsGet(net.everywhere, 15443, { servername });
  const { origin: name, tls } = JSON.parse(reply.body) as {
    readonly origin: string;
    readonly tls: { readonly sni: string };
  };
  assert.equal(tls.sni, servername);
  return name;
};

test('the server name says service, port and subset', async () => {
  const seen = new Set<string>();
  for (let i = 0; i < 12; i++) seen.add(await origin('outbound_.80_._.app.default.svc.cluster.local'));
  assert.deepEqual([...seen].sort(), ['v1', 'v2']);
  for (let i = 0; i < 4; i++) assert.equal(await origin('outbound_.80_.v2_.app.default.svc.cluster.local'), 'v2');
});

test('names of no service, and those that the server does not take, are refused', async () => {
  for (const name of [
    'outbound_.81_._.app.default.svc.cluster.local',
    'outbound_.80_._.app.default.svc',
    'app.default.svc.cluster.local',
  ])
    await assert.rejects(tlsGet(net.everywhere, 15443, { servername: name }), name);
});
