import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { istioObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** A server that vanishes without a word. Runs in a network namespace of its own, where packets can be dropped (see keepalive.test.ts). */

const net = new LoopbackNet();
const PORT = 9300;
const keepalive = (name: string, tcpKeepalive: object) =>
  istioObject(
    'DestinationRule',
    { name },
    { host: name, trafficPolicy: { connectionPool: { tcp: { tcpKeepalive } } } },
  );
const service = (name: string, last: number) =>
  loopbackApp(net, name, { last, port: PORT, protocol: 'tcp' }, [{ last: 1 }]);

let origin: Origin;
let envoy: OfflineEnvoy;
before(async () => {
  origin = await startOrigin('plain', net.ip(1), ORIGIN_PORT);
  envoy = await startOfflineEnvoy({
    net,
    objects: [
      ...service('watched', 11),
      ...service('patient', 12),
      ...service('stubborn', 13),
      ...service('anyother', 14),
      keepalive('watched', { time: '1s', interval: '1s', probes: 1 }),
      keepalive('patient', { time: '1s', interval: '300s', probes: 1 }),
      keepalive('stubborn', { time: '1s', interval: '1s', probes: 100 }),
    ],
    proxy: { name: 'client', namespace: 'default' },
    meshConfig: decodeMeshConfig({ tcpKeepalive: { time: '1s', interval: '1s', probes: 1 } }).value,
  });
});
after(async () => {
  await envoy?.stop();
  await origin?.close();
});

test('a connection to a server that has vanished ends after the probes, at their interval', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.time',
    'DestinationRule.spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.probes',
    'DestinationRule.spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.interval',
    'MeshConfig.tcpKeepalive.time',
    'MeshConfig.tcpKeepalive.probes',
    'MeshConfig.tcpKeepalive.interval',
  );
  const clients = [11, 12, 13, 14].map((last) => {
    const socket = connect({ host: net.ip(last), port: PORT });
    const state = { socket, got: '', closed: false };
    socket.on('data', (data: Buffer) => (state.got += data.toString()));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => (state.closed = true));
    socket.write('hello');
    return state;
  });
  for (const one of clients) await eventually(() => (one.got.includes('hello') ? true : undefined), 'an echo');
  execFileSync('iptables', ['-A', 'INPUT', '-p', 'tcp', '--sport', String(ORIGIN_PORT), '-j', 'DROP']);
  const [watched, patient, stubborn, anyOther] = clients;
  await eventually(() => (watched?.closed ? true : undefined), 'the end of the connection with one probe');
  await eventually(() => (anyOther?.closed ? true : undefined), 'the end of one that the mesh sets the probes of');
  assert.deepEqual([patient?.closed, stubborn?.closed], [false, false], 'others wait longer, or ask more often');
  for (const one of clients) one.socket.destroy();
});
