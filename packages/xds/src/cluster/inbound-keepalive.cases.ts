import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import { LoopbackNet, type OfflineEnvoy, ORIGIN_PORT, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** An application that vanishes without a word, behind its own sidecar. Runs in a network namespace of its own (see inbound-keepalive.test.ts). */

const net = new LoopbackNet();
const WATCHED = 9301;
const PATIENT = 9302;
const STUBBORN = 9303;
const pool = (tcpKeepalive: object) => ({ tcp: { tcpKeepalive } });

let origin: Origin;
let envoy: OfflineEnvoy;
before(async () => {
  origin = await startOrigin('web', '127.0.0.1', ORIGIN_PORT);
  const ingress = (number: number, tcpKeepalive?: object) => ({
    port: { number, protocol: 'TCP', name: `tcp-${number}` },
    bind: net.everywhere,
    captureMode: 'NONE',
    defaultEndpoint: `127.0.0.1:${ORIGIN_PORT}`,
    ...(tcpKeepalive && { connectionPool: pool(tcpKeepalive) }),
  });
  envoy = await startOfflineEnvoy({
    net,
    objects: [
      podObject({ name: 'web-0', labels: { app: 'web' }, ip: net.ip(1) }),
      istioObject('PeerAuthentication', { name: 'public' }, { mtls: { mode: 'DISABLE' } }),
      istioObject(
        'Sidecar',
        { name: 'web' },
        {
          inboundConnectionPool: pool({ time: '1s', interval: '1s', probes: 1 }),
          ingress: [
            ingress(WATCHED),
            ingress(PATIENT, { time: '1s', interval: '300s', probes: 1 }),
            ingress(STUBBORN, { time: '1s', interval: '1s', probes: 100 }),
          ],
        },
      ),
    ],
    proxy: { name: 'web-0', namespace: 'default', ipAddress: net.ip(1) },
  });
});
after(async () => {
  await envoy?.stop();
  await origin?.close();
});

test('a connection to an application that has vanished ends after the probes, at their interval', async () => {
  proves(
    'Sidecar.spec.inboundConnectionPool.tcp.tcpKeepalive.time',
    'Sidecar.spec.inboundConnectionPool.tcp.tcpKeepalive.probes',
    'Sidecar.spec.inboundConnectionPool.tcp.tcpKeepalive.interval',
    'Sidecar.spec.ingress[].connectionPool',
  );
  const [watched, patient, stubborn] = [WATCHED, PATIENT, STUBBORN].map((port) => {
    const socket = connect({ host: net.everywhere, port });
    const state = { socket, got: '', closed: false };
    socket.on('data', (data: Buffer) => (state.got += data.toString()));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => (state.closed = true));
    socket.write('hello');
    return state;
  });
  for (const one of [watched, patient, stubborn])
    await eventually(() => (one?.got.includes('hello') ? true : undefined), 'an echo');
  execFileSync('iptables', ['-A', 'INPUT', '-p', 'tcp', '--sport', String(ORIGIN_PORT), '-j', 'DROP']);
  await eventually(() => (watched?.closed ? true : undefined), 'the end of the connection with one probe');
  assert.deepEqual([patient?.closed, stubborn?.closed], [false, false], 'others wait longer, or ask more often');
  for (const one of [watched, patient, stubborn]) one?.socket.destroy();
});
