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
async function linesWith(name: string, target: object): Promise<string> {
  const { net } = lab;
  const port = await freePort();
  const file = (kind: string) => ({
    name: kind,
    envoyFileAccessLog: { path: lab.file(name), logFormat: { text: `${kind} %REQ(:PATH)%` } },
  });
  const logs = (object: string, provider: string, more: object): KubeObject =>
    istioObject('Telemetry', { name: object }, { ...more, accessLogging: [named(provider)] });
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
      logs('one', 'special', target),
    ],
    proxy: { name: 'gw', namespace: 'default', type: 'router' },
    meshConfig: decodeMeshConfig({ extensionProviders: [file('general'), file('special')] }).value,
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
  assert.equal(await linesWith('refs', { targetRefs: [gateway('other'), gateway('front')] }), 'special /');
  assert.equal(await linesWith('other', { targetRefs: [gateway('other')] }), 'general /');
  assert.equal(await linesWith('ref', { targetRef: { ...gateway('front'), namespace: 'default' } }), 'special /');
});
