import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { call } from '../testing/http-call.ts';
import { podObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** Old clients and odd paths at the listeners of one real Envoy: PILOT_HTTP10 and meshConfig.pathNormalization. */

const net = new LoopbackNet();
let origin: Origin;
let envoy: OfflineEnvoy;

before(async () => {
  origin = await startOrigin('a', net.ip(1), ORIGIN_PORT);
  envoy = await startOfflineEnvoy({
    net,
    objects: [
      podObject({ name: 'client-0', labels: { app: 'client' }, ip: '10.244.0.2' }),
      ...loopbackApp(net, 'a', { last: 31, port: 8000, protocol: 'http' }, [{ last: 1 }]),
    ],
    proxy: { name: 'client-0', namespace: 'default', ipAddress: '10.244.0.2' },
    mesh: { http10: true },
    meshConfig: { ...defaultMeshConfig(), pathNormalization: { normalization: 'DECODE_AND_MERGE_SLASHES' } },
  });
});

after(async () => {
  await envoy?.stop();
  await origin?.close();
});

const exchange = (text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let got = '';
    const socket = connect(8000, net.everywhere, () => socket.write(text));
    socket.on('data', (data) => {
      got += data.toString();
    });
    socket.on('close', () => resolve(got));
    socket.on('error', reject);
  });

test('a client of HTTP/1.0 is answered where istiod allows it', async () => {
  assert.match(await exchange('GET / HTTP/1.0\r\nHost: a\r\n\r\n'), /^HTTP\/1\.[01] 200 OK/);
  assert.ok(origin.arrivals.at(-1)?.headers['x-request-id'] !== undefined);
});

test('paths are normalised as the mesh says', async () => {
  const answer = await call('/a//b%2Fc/../d', { address: net.everywhere, port: 8000, host: 'a' });
  assert.equal(answer.seen?.path, '/a/b/d');
});
