import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { eventually, freePort } from '@istio-ts/xds/testing/envoy';
import { istioObject } from '@istio-ts/xds/testing/objects';
import { loopbackApp, LoopbackNet, ORIGIN_PORT } from '@istio-ts/xds/testing/offline-envoy';
import { startOrigin } from '@istio-ts/xds/testing/origin';
import { startWorkloads } from '@istio-ts/xds/testing/workloads-envoy';
import { readMeshConfigMap } from './mesh-config.ts';

/** Headers of providers whose values are istiod's variables, as a collector behind a real Envoy gets them. */

test('a collector gets the value of istiod’s variable, and no header without one', async (t) => {
  proves('MeshConfig.extensionProviders[].zipkin.headers[].envName');
  process.env.ISTIOD_TEST_COLLECTOR_KEY = 'the key';
  const net = new LoopbackNet();
  const collector = await startOrigin('collector', net.ip(2), ORIGIN_PORT);
  const app = await startOrigin('app', '127.0.0.1', await freePort());
  t.after(() => Promise.all([collector.close(), app.close()]));
  const mesh = `
extensionProviders:
- name: keyed
  zipkin:
    service: collector.default.svc.cluster.local
    port: 9411
    headers:
    - name: x-key
      envName: ISTIOD_TEST_COLLECTOR_KEY
    - name: x-none
      envName: ISTIOD_TEST_NOT_SET
    - name: x-fixed
      value: "yes"
`;
  const { config, problems } = readMeshConfigMap({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio', namespace: 'istio-system' },
    data: { mesh },
  });
  assert.match(problems.join(), /headers\[1\]\.envName: istiod has no variable ISTIOD_TEST_NOT_SET/);
  const envoy = await startWorkloads({
    net,
    app: app.port,
    ...(config && { meshConfig: config }),
    objects: [
      ...loopbackApp(net, 'collector', { last: 40, port: 9411, protocol: 'http' }, [{ last: 2 }]),
      istioObject(
        'Telemetry',
        { name: 'all' },
        { tracing: [{ providers: [{ name: 'keyed' }], randomSamplingPercentage: 100 }] },
      ),
    ],
    workloads: [{ name: 'traced' }],
  });
  t.after(() => envoy.stop());
  // Envoy sends spans as soon as it has five of them.
  for (let i = 0; i < 5; i++) assert.equal((await envoy.ask('traced')).status, 200);
  const { headers } = await eventually(() => collector.arrivals[0], 'the spans');
  assert.deepEqual([headers['x-key'], headers['x-fixed'], headers['x-none']], ['the key', 'yes', undefined]);
});
