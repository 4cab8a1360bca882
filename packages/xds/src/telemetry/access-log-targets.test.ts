import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import { proves } from '../field-proof.ts';
import { freePort } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import { loopbackApp, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type AccessLogLab, named, startAccessLogLab, WEB_PORT } from './access-log.test-support.ts';

/** Telemetries that name a Gateway of the Gateway API, seen in the access log of its proxy. */

const GATEWAY_API = 'gateway.networking.k8s.io';
let lab: AccessLogLab;
before(async () => {
  lab = await startAccessLogLab();
});
after(() => lab.close());

/** Lines that one request leaves in the logs `general` and `special`, where one Telemetry is for all and another for a target. */
async function linesWith(
  name: string,
  target: object,
  { namespace = 'default', problems = [] }: { readonly namespace?: string; readonly problems?: string[] } = {},
): Promise<string> {
  const { net } = lab;
  const port = await freePort();
  const file = (kind: string) => ({
    name: kind,
    envoyFileAccessLog: { path: lab.file(name), logFormat: { text: `${kind} %REQ(:PATH)%` } },
  });
  const logs = (object: string, provider: string, more: object, where = 'default'): KubeObject =>
    istioObject('Telemetry', { name: object, namespace: where }, { ...more, accessLogging: [named(provider)] });
  const envoy = await startOfflineEnvoy({
    net,
    objects: [
      podObject({ name: 'gw', labels: { app: 'gw', [`${GATEWAY_API}/gateway-name`]: 'front' }, ip: net.ip(50) }),
      istioObject(
        'Gateway',
        { name: 'gw' },
        {
          selector: { app: 'gw' },
          servers: [{ port: { number: port, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
        },
      ),
      istioObject(
        'VirtualService',
        { name: 'gw' },
        {
          hosts: ['*'],
          gateways: ['gw'],
          http: [{ route: [{ destination: { host: 'web.default.svc.cluster.local', port: { number: WEB_PORT } } }] }],
        },
      ),
      ...loopbackApp(net, 'web', { last: 31, port: WEB_PORT, protocol: 'http' }, [{ last: 2 }]),
      logs('all', 'general', {}),
      logs('one', 'special', target, namespace),
    ],
    proxy: { name: 'gw', namespace: 'default', type: 'router' },
    meshConfig: decodeMeshConfig({ extensionProviders: [file('general'), file('special')] }).value,
    tolerate: ({ origin, path, message }) => void problems.push(`${origin.name} ${path}: ${message}`),
  });
  try {
    await call('/', { address: net.everywhere, port, host: 'web.test' });
    return (await lab.lines(name, 1)).join();
  } finally {
    await envoy.stop();
  }
}

test('targetRefs and targetRef name Gateways, and nothing else of the namespace', async () => {
  proves('Telemetry.spec.targetRefs', 'Telemetry.spec.targetRef');
  const gateway = (name: string) => ({ group: GATEWAY_API, kind: 'Gateway', name });
  const problems: string[] = [];
  const refs = { targetRefs: [gateway('other'), gateway('front')] };
  assert.equal(await linesWith('refs', refs, { problems }), 'special /');
  assert.deepEqual(problems, []);
  assert.equal(await linesWith('other', { targetRefs: [gateway('other')] }), 'general /');
  assert.equal(await linesWith('ref', { targetRef: { ...gateway('front'), namespace: 'default' } }), 'special /');
});

test('what only waypoints serve can be named, selects no other proxy, and the status says so', async () => {
  const problems: string[] = [];
  const targets = [
    { kind: 'Service', name: 'web' },
    { group: 'core', kind: 'Service', name: 'web' },
    { group: 'networking.istio.io', kind: 'ServiceEntry', name: 'partner' },
    { group: GATEWAY_API, kind: 'GatewayClass', name: 'istio-waypoint' },
  ];
  assert.equal(await linesWith('served', { targetRefs: targets }, { problems }), 'general /');
  const served = (name: string) => `${name} is served by waypoint proxies, which are not built yet`;
  assert.deepEqual(problems.splice(0), [
    `one spec.targetRefs[0]: selects nothing: ${served('Service web')}`,
    `one spec.targetRefs[1]: selects nothing: ${served('Service web')}`,
    `one spec.targetRefs[2]: selects nothing: ${served('ServiceEntry partner')}`,
    'one spec.targetRefs[3]: selects nothing: a GatewayClass counts in the root namespace istio-system only',
  ]);
  const ofClass = { targetRef: targets[3] };
  assert.equal(await linesWith('class', ofClass, { problems, namespace: 'istio-system' }), 'general /');
  assert.deepEqual(problems, [`one spec.targetRef: selects nothing: ${served('GatewayClass istio-waypoint')}`]);
});
