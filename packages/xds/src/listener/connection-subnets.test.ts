import assert from 'node:assert/strict';
import { connect, createServer, type Server } from 'node:net';
import { Duplex } from 'node:stream';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { istioObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';

/** Routes of connections by subnet (`tcp` and `tls` of VirtualServices), seen by clients that connect through one real Envoy. */

const net = new LoopbackNet();
const PORT = 9000;
const to = (host: string) => ({ route: [{ destination: { host, port: { number: PORT } } }] });
const one = to('one');
const two = to('two');
/** Services by the last byte of their address. */
const SOURCE = 20;
const DESTINATION = 21;
const SECURE = 22;
const only = (last: number) => [`${net.ip(last)}/32`];
const sniHosts = ['a.test'];

const objects = [
  ...loopbackApp(net, 'one', { last: 10, port: PORT, protocol: 'tcp' }, [{ last: 1 }]),
  ...loopbackApp(net, 'two', { last: 11, port: PORT, protocol: 'tcp' }, [{ last: 2 }]),
  ...loopbackApp(net, 'source', { last: SOURCE, port: PORT, protocol: 'tcp' }, [{ last: 3 }]),
  ...loopbackApp(net, 'destination', { last: DESTINATION, port: PORT, protocol: 'tcp' }, [{ last: 3 }]),
  ...loopbackApp(net, 'secure', { last: SECURE, port: PORT, protocol: 'tls' }, [{ last: 3 }]),
  istioObject(
    'VirtualService',
    { name: 'source' },
    { hosts: ['source'], tcp: [{ match: [{ sourceSubnet: `${net.ip(100)}/31` }], ...two }, one] },
  ),
  istioObject(
    'VirtualService',
    { name: 'destination' },
    {
      hosts: ['destination'],
      tcp: [
        { match: [{ destinationSubnets: only(99) }], ...two },
        { match: [{ destinationSubnets: only(DESTINATION) }], ...one },
      ],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'secure' },
    {
      hosts: ['secure', ...sniHosts],
      tls: [
        { match: [{ sniHosts, destinationSubnets: only(99) }], ...two },
        { match: [{ sniHosts, destinationSubnets: only(SECURE) }], ...one },
      ],
    },
  ),
];

let envoy: OfflineEnvoy;
let servers: readonly Server[] = [];

/** A server that answers whatever comes with its name. */
function nameServer(name: string, address: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => socket.end(name));
  });
  return new Promise((resolve) => server.listen(ORIGIN_PORT, address, () => resolve(server)));
}

/** Which server answers a connection to a service; empty where none does. */
function answer(last: number, say: string | Uint8Array = 'hello', localAddress?: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(
      { host: net.ip(last), port: PORT, ...(localAddress !== undefined && { localAddress }) },
      () => socket.write(say),
    );
    socket.setTimeout(5000, () => socket.destroy());
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('error', () => resolve(text));
    socket.on('close', () => resolve(text));
  });
}

/** The first bytes of TLS that ask for a server of this name. */
function clientHello(servername: string): Promise<Uint8Array> {
  return new Promise((resolve) => {
    const wire = new Duplex({ read() {}, write: (chunk: Uint8Array) => resolve(chunk) });
    connectTls({ socket: wire, servername, rejectUnauthorized: false }).on('error', () => undefined);
  });
}

before(async () => {
  servers = [
    await nameServer('one', net.ip(1)),
    await nameServer('two', net.ip(2)),
    await nameServer('itself', net.ip(3)),
  ];
  envoy = await startOfflineEnvoy({
    net,
    objects,
    proxy: { name: 'client', namespace: 'default', labels: { app: 'client' }, ipAddress: net.ip(9) },
    meshConfig: decodeMeshConfig({}).value,
  });
});

after(async () => {
  await envoy?.stop();
  for (const server of servers) server.close();
});

test('connections are routed by the subnets that they come from and go to', async () => {
  proves(
    'VirtualService.spec.tcp[].match[].sourceSubnet',
    'VirtualService.spec.tcp[].match[].destinationSubnets[]',
    'VirtualService.spec.tls[].match[].destinationSubnets[]',
  );
  assert.equal(await answer(SOURCE, 'hello', net.ip(101)), 'two');
  assert.equal(await answer(SOURCE, 'hello', net.ip(102)), 'one');
  assert.equal(await answer(DESTINATION), 'one');
  assert.equal(await answer(SECURE, await clientHello('a.test')), 'one');
});
