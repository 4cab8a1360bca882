import assert from 'node:assert/strict';
import { connect } from 'node:net';
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
import { type Origin, startOrigin } from '../testing/origin.ts';

/** TCP and TLS routes of VirtualServices, as a client of one real Envoy sees them. */

const net = new LoopbackNet();
const PORT = 9300;
const OTHER_PORT = 9301;
const TLS_PORT = 9443;
const to = (host: string) => [{ destination: { host, port: { number: PORT } } }];

const entry = (
  name: string,
  hosts: readonly string[],
  addresses: readonly string[],
  ports: readonly [number, string][],
) =>
  istioObject(
    'ServiceEntry',
    { name },
    {
      hosts,
      addresses,
      ports: ports.map(([number, protocol]) => ({ number, name: `p${number}`, protocol, targetPort: ORIGIN_PORT })),
      resolution: 'STATIC',
      endpoints: [{ address: net.ip(1) }],
    },
  );

const objects = [
  ...loopbackApp(net, 'first', { last: 10, port: PORT, protocol: 'tcp' }, [{ last: 1 }]),
  ...loopbackApp(net, 'second', { last: 11, port: PORT, protocol: 'tcp' }, [{ last: 2 }]),
  ...loopbackApp(net, 'third', { last: 12, port: PORT, protocol: 'tcp' }, [{ last: 3, labels: { version: 'v1' } }]),
  ...loopbackApp(net, 'weights', { last: 13, port: PORT, protocol: 'tcp' }, [{ last: 1 }]),
  istioObject(
    'DestinationRule',
    { name: 'third' },
    { host: 'third', subsets: [{ name: 'v1', labels: { version: 'v1' } }] },
  ),
  istioObject(
    'VirtualService',
    { name: 'first' },
    {
      hosts: ['first'],
      gateways: ['mesh', 'door'],
      tcp: [
        { match: [{ sourceLabels: { app: 'stranger' } }], route: to('third') },
        { match: [{ sourceNamespace: 'away' }], route: to('third') },
        { match: [{ gateways: ['door'] }], route: to('third') },
        { match: [{ port: OTHER_PORT }], route: to('third') },
        {
          match: [{ port: PORT, sourceLabels: { app: 'client' }, sourceNamespace: 'default', gateways: ['mesh'] }],
          route: to('second'),
        },
      ],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'weights' },
    {
      hosts: ['weights'],
      tcp: [
        {
          route: [
            { destination: { host: 'first', port: { number: PORT } }, weight: 0 },
            { destination: { host: 'second', port: { number: PORT } }, weight: 50 },
            { destination: { host: 'third', subset: 'v1', port: { number: PORT } }, weight: 50 },
          ],
        },
      ],
    },
  ),
  entry(
    'subnets',
    ['subnets.example'],
    [net.ip(60), net.ip(61)],
    [
      [PORT, 'TCP'],
      [OTHER_PORT, 'TCP'],
    ],
  ),
  istioObject(
    'VirtualService',
    { name: 'subnets' },
    {
      hosts: ['subnets.example'],
      tcp: [
        { match: [{ destinationSubnets: [`${net.ip(61)}/32`] }], route: to('second') },
        { match: [{ port: OTHER_PORT }], route: to('third') },
      ],
    },
  ),
  entry('names', ['a.example', 'b.example', '*.c.example'], [], [[TLS_PORT, 'TLS']]),
  istioObject(
    'VirtualService',
    { name: 'names' },
    {
      hosts: ['a.example', 'b.example', '*.c.example'],
      tls: [
        { match: [{ sniHosts: ['a.example'], sourceLabels: { app: 'stranger' } }], route: to('third') },
        { match: [{ sniHosts: ['a.example'], sourceNamespace: 'away' }], route: to('third') },
        { match: [{ sniHosts: ['a.example'], gateways: ['door'] }], route: to('third') },
        { match: [{ sniHosts: ['a.example'], port: OTHER_PORT }], route: to('third') },
        { match: [{ sniHosts: ['a.example'], port: TLS_PORT }], route: to('second') },
        {
          match: [{ sniHosts: ['*.c.example'] }],
          route: [
            { destination: { host: 'third', subset: 'v1', port: { number: PORT } }, weight: 100 },
            { destination: { host: 'first', port: { number: PORT } }, weight: 0 },
          ],
        },
      ],
      gateways: ['mesh', 'door'],
    },
  ),
];

let envoy: OfflineEnvoy;
const origins: Record<string, Origin> = {};

before(async () => {
  for (const [i, name] of ['first', 'second', 'third'].entries())
    origins[name] = await startOrigin(name, net.ip(i + 1), ORIGIN_PORT);
  envoy = await startOfflineEnvoy({
    net,
    objects,
    proxy: { name: 'client', namespace: 'default', labels: { app: 'client' }, ipAddress: net.ip(9) },
    meshConfig: decodeMeshConfig({}).value,
  });
});

after(async () => {
  await envoy?.stop();
  await Promise.all(Object.values(origins).map((origin) => origin.close()));
});

/** Name of the origin that a connection reaches. */
const reached = (address: string, port = PORT): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    socket.on('error', reject);
    socket.on('close', () => resolve(''));
    socket.once('data', (data: Buffer) => {
      resolve(data.toString().split('#')[0] ?? '');
      socket.destroy();
    });
    socket.write('hello');
  });

/** The origin whose connections grow when a TLS client asks for a name: TLS goes through as it is. */
const named = async (servername: string): Promise<string> => {
  const before_ = Object.fromEntries(Object.entries(origins).map(([name, one]) => [name, one.bytes.length]));
  await new Promise<void>((resolve) => {
    // The origins speak no TLS: they echo the handshake, which ends it.
    const socket = connectTls({ host: net.everywhere, port: TLS_PORT, servername, rejectUnauthorized: false });
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
  });
  return Object.entries(origins)
    .filter(([name, one]) => one.bytes.length > (before_[name] ?? 0))
    .map(([name]) => name)
    .join(' ');
};

test('TCP routes by client, gateway, port and address, with weights', async () => {
  proves(
    'VirtualService.spec.tcp[].match[].port',
    'VirtualService.spec.tcp[].match[].sourceLabels',
    'VirtualService.spec.tcp[].match[].sourceNamespace',
    'VirtualService.spec.tcp[].match[].gateways',
    'VirtualService.spec.tcp[].match[].destinationSubnets',
    'VirtualService.spec.tcp[].route[].destination.host',
    'VirtualService.spec.tcp[].route[].destination.port.number',
    'VirtualService.spec.tcp[].route[].destination.subset',
    'VirtualService.spec.tcp[].route[].weight',
  );
  assert.equal(await reached(net.ip(10)), 'second');
  assert.equal(await reached(net.ip(60)), 'first');
  assert.equal(await reached(net.ip(61)), 'second');
  assert.equal(await reached(net.ip(60), OTHER_PORT), 'third');
  const counts: Record<string, number> = {};
  for (let i = 0; i < 60; i++) {
    const name = await reached(net.ip(13));
    counts[name] = (counts[name] ?? 0) + 1;
  }
  assert.equal((counts.second ?? 0) + (counts.third ?? 0), 60);
  assert.ok((counts.second ?? 0) > 10 && (counts.third ?? 0) > 10, JSON.stringify(counts));
});

test('TLS routes by server name, client, gateway and port, with weights', async () => {
  proves(
    'VirtualService.spec.tls[].match[].sniHosts',
    'VirtualService.spec.tls[].match[].port',
    'VirtualService.spec.tls[].match[].sourceLabels',
    'VirtualService.spec.tls[].match[].sourceNamespace',
    'VirtualService.spec.tls[].match[].gateways',
    'VirtualService.spec.tls[].route[].destination.host',
    'VirtualService.spec.tls[].route[].destination.port.number',
    'VirtualService.spec.tls[].route[].destination.subset',
    'VirtualService.spec.tls[].route[].weight',
  );
  assert.equal(await named('a.example'), 'second');
  assert.equal(await named('b.example'), 'first');
  assert.equal(await named('x.c.example'), 'third');
});
