import assert from 'node:assert/strict';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { after, before, describe, it } from 'node:test';
import { type DeltaDiscoveryRequest, decode, encode } from '@istio-ts/envoy';
import { openGrpcChannel } from '@istio-ts/envoy/grpc';
import { TypeUrl } from '../ads/resource-kinds.ts';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { type RunningIstiod, startIstiod } from './istiod.test-support.ts';
import {
  callHeaders,
  END_HEADERS,
  END_STREAM,
  Frame,
  literalHeader,
  opened,
  type RawHttp2,
  rawHttp2,
} from './raw-http2.test-support.ts';

/** Clients without any credentials against a whole istiod: it goes on serving, and its memory stays bounded. */

const MB = 1024 * 1024;
/** What an attack may cost at its height, beside garbage that is not yet collected: receive buffers of messages (128 MiB a server) and of connections. */
const ROOM = 300 * MB;
const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const CSR = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

describe('floods without credentials', () => {
  let istiod: RunningIstiod;
  let root = '';
  let calm = 0;
  let peak = 0;
  let watcher: NodeJS.Timeout;
  before(async () => {
    istiod = await startIstiod();
    await eventually('the root certificate', async () => {
      const { status, body } = await istiod.api.call('GET', '/api/v1/namespaces/default/configmaps/istio-ca-root-cert');
      root = status === 200 ? body.data['root-cert.pem'] : '';
      return root !== '';
    });
    calm = istiod.memory();
    watcher = setInterval(() => {
      if (istiod.process.exitCode === null) peak = Math.max(peak, istiod.memory());
    }, 20);
  });
  after(async () => {
    clearInterval(watcher);
    await istiod.close();
  });

  /** Runs an attack; while it stands and after it istiod must serve a proxy, and its memory must not have grown beyond reason. */
  async function survives(attack: () => Promise<() => void>): Promise<void> {
    peak = 0;
    const end = await attack();
    await serves();
    end();
    await serves();
    assert.equal(istiod.process.exitCode, null);
    assert.ok(peak < calm + ROOM, `memory went from ${Math.round(calm / MB)} to ${Math.round(peak / MB)} MiB`);
    assert.doesNotMatch(istiod.output(), /uncaught exception|unhandled rejection/);
  }

  async function serves(): Promise<void> {
    assert.equal((await istiod.get('http', '/ready')).status, 200);
    const channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: istiod.ports.grpc });
    const stream = await channel.stream(ADS);
    const messages = stream.messages();
    const request = {
      node: { id: 'sidecar~10.8.8.8~bystander.default~default.svc.cluster.local', metadata: { NAMESPACE: 'default' } },
      typeUrl: TypeUrl.cluster,
    };
    await stream.write(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', request as DeltaDiscoveryRequest));
    const { value, done } = await messages.next();
    assert.ok(!done);
    assert.ok((decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', value).resources?.length ?? 0) > 0);
    stream.cancel();
    channel.close();
  }

  /** Both gRPC ports; the encrypted one without a client certificate. */
  const grpcPorts = (): readonly { readonly name: string; readonly port: number; readonly tls: boolean }[] => [
    { name: '15010', port: istiod.ports.grpc, tls: false },
    { name: '15012', port: istiod.ports.secureGrpc, tls: true },
  ];

  for (const index of [0, 1]) {
    const target = () => grpcPorts()[index] as { readonly name: string; readonly port: number; readonly tls: boolean };
    const name = ['15010', '15012'][index];

    it(`${name}: streams that are opened and reset as fast as it goes (rapid reset)`, async () =>
      survives(async () => {
        const clients: RawHttp2[] = [];
        for (let client = 0; client < 4; client++) {
          const raw = await rawHttp2(target().port, target().tls);
          clients.push(raw);
          const headers = callHeaders(ADS);
          const reset = Buffer.from([0, 0, 0, 8]);
          for (let stream = 1; stream < 20_000 && !raw.closed(); stream += 2) {
            raw.frame(Frame.headers, END_HEADERS, stream, headers);
            raw.frame(Frame.reset, 0, stream, reset);
            if (stream % 1001 === 0) await raw.flushed();
          }
          await raw.flushed();
        }
        await eventually('the connections to be closed', () => clients.every((raw) => raw.closed()));
        return () => clients.forEach((raw) => void raw.end());
      }));

    it(`${name}: headers that never end (CONTINUATION flood)`, async () =>
      survives(async () => {
        const raw = await rawHttp2(target().port, target().tls);
        raw.frame(Frame.headers, 0, 1, callHeaders(ADS));
        const chunk = Buffer.concat(
          Array.from({ length: 100 }, (_, number) => literalHeader(`x-${number}`, 'y'.repeat(100))),
        );
        for (let frames = 0; frames < 5000 && !raw.closed(); frames++) {
          raw.frame(Frame.continuation, 0, 1, chunk);
          if (frames % 50 === 0) await raw.flushed();
        }
        await eventually('the connection to be closed', () => raw.closed());
        return () => raw.end();
      }));

    it(`${name}: huge headers, many headers, and headers that refer to one another`, async () =>
      survives(async () => {
        const raw = await rawHttp2(target().port, target().tls);
        // Each within a frame of the default size, the block beyond what the server takes.
        const block = callHeaders(ADS, [literalHeader('authorization', `Bearer ${'a'.repeat(200_000)}`)]);
        raw.frame(Frame.headers, 0, 1, block.subarray(0, 16_000));
        for (let at = 16_000; at < block.length; at += 16_000)
          raw.frame(
            Frame.continuation,
            at + 16_000 >= block.length ? END_HEADERS : 0,
            1,
            block.subarray(at, at + 16_000),
          );
        await raw.flushed();
        // HPACK bomb: a large entry of the table, then thousands of one-byte references to it.
        const bomb = await rawHttp2(target().port, target().tls);
        const large = literalHeader('x-bomb', 'z'.repeat(3900));
        large[0] = 0x40;
        for (let stream = 1; stream < 60; stream += 2)
          bomb.frame(
            Frame.headers,
            END_HEADERS | END_STREAM,
            stream,
            Buffer.concat([callHeaders(ADS), ...(stream === 1 ? [large] : []), Buffer.alloc(10_000, 0xbe)]),
          );
        await bomb.flushed();
        return () => {
          raw.end();
          bomb.end();
        };
      }));

    it(`${name}: more streams than a connection may have, on many connections, with messages that are never finished`, async () =>
      survives(async () => {
        const clients: RawHttp2[] = [];
        const start = Buffer.alloc(5 + 16_000);
        start.writeUInt32BE(4_000_000, 1);
        for (let client = 0; client < 30; client++) {
          const raw = await rawHttp2(target().port, target().tls);
          clients.push(raw);
          for (let stream = 1; stream < 400; stream += 2) {
            raw.frame(Frame.headers, END_HEADERS, stream, callHeaders(stream % 4 === 1 ? ADS : CSR));
            raw.frame(Frame.data, 0, stream, start);
          }
        }
        await Promise.race([Promise.all(clients.map((raw) => raw.flushed())), sleep(3000)]);
        return () => clients.forEach((raw) => void raw.end());
      }));

    it(`${name}: settings and pings that nobody needs`, async () =>
      survives(async () => {
        const raw = await rawHttp2(target().port, target().tls);
        // Answers pile up when the client does not read them.
        raw.socket.pause();
        for (let count = 0; count < 100_000 && !raw.closed(); count++) {
          raw.frame(Frame.ping, 0, 0, Buffer.alloc(8));
          raw.frame(Frame.settings, 0, 0);
          if (count % 5000 === 0) await Promise.race([raw.flushed(), sleep(500)]);
        }
        return () => raw.end();
      }));

    it(`${name}: deep and huge messages`, async () =>
      survives(async () => {
        for (const path of [ADS, CSR]) {
          const channel = openGrpcChannel(
            target().tls
              ? {
                  kind: 'tls',
                  host: '127.0.0.1',
                  port: target().port,
                  serverName: 'istiod.istio-system.svc',
                  tls: { ca: root },
                }
              : { kind: 'tcp', host: '127.0.0.1', port: target().port },
          );
          for (const message of [
            deepNode(),
            deepStruct(),
            Buffer.alloc(5 * MB, 0x0a),
            manyNames(),
            repeatedNode(),
            repeatedMetadata(),
          ]) {
            const stream = await channel.stream(path).catch(() => undefined);
            if (stream === undefined) continue;
            await stream.write(message).catch(() => undefined);
            stream.end();
            await (async () => {
              for await (const _ of stream.messages());
            })().catch((error: { status?: string }) =>
              assert.ok(
                [
                  'INVALID_ARGUMENT',
                  'UNAUTHENTICATED',
                  'PERMISSION_DENIED',
                  'RESOURCE_EXHAUSTED',
                  'UNIMPLEMENTED',
                  'CANCELLED',
                  'INTERNAL',
                  'UNAVAILABLE',
                ].includes(error.status ?? ''),
                String(error),
              ),
            );
          }
          channel.close();
        }
        return () => undefined;
      }));
  }

  it('all ports: connections that say nothing, and that say it slowly (slowloris)', async () =>
    survives(async () => {
      const sockets: Socket[] = [];
      const { grpc, secureGrpc, https, http, monitoring } = istiod.ports;
      for (const port of [grpc, secureGrpc, https, http, monitoring])
        for (let count = 0; count < 200; count++) {
          const socket = connectTcp(port, '127.0.0.1');
          socket.on('error', () => undefined);
          sockets.push(socket);
          if (count % 2 === 0)
            socket.write(port === http || port === monitoring ? 'POST / HTTP/1.1\r\nHost: x\r\nX-A: ' : 'P');
        }
      for (let round = 0; round < 10; round++) {
        for (const socket of sockets) if (!socket.destroyed) socket.write('a');
        await sleep(20);
      }
      return () => sockets.forEach((socket) => void socket.destroy());
    }));

  it('15017, 8080 and 15014: huge headers, bodies and deep reviews', async () =>
    survives(async () => {
      const deep = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1","object":${'{"a":'.repeat(400_000)}1${'}'.repeat(400_000)}}}`;
      const list = `{"request":{"object":${'['.repeat(2_000_000)}`;
      for (const path of ['/inject', '/validate', '/inject/cluster/x'])
        for (const body of [deep, list, 'x'.repeat(7 * MB)]) await post(istiod.ports.https, path, body, true);
      for (const port of [istiod.ports.http, istiod.ports.monitoring]) {
        await post(port, '/debug/syncz', 'x'.repeat(2 * MB), false);
        await post(port, `/${'x'.repeat(100_000)}`, '', false);
        await post(port, '/ready', '', false, `X-Large: ${'y'.repeat(100_000)}\r\n`);
      }
      return () => undefined;
    }));
});

/** A request in HTTP/1.1 as text; whatever comes back is read and forgotten. */
async function post(port: number, path: string, body: string, tls: boolean, headers = ''): Promise<void> {
  const socket = tls
    ? connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false })
    : connectTcp(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  await opened(socket, tls);
  socket.end(
    `POST ${path} HTTP/1.1\r\nHost: istiod\r\nContent-Type: application/json\r\nConnection: close\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
}

const field = (number: number, bytes: Buffer): Buffer => {
  const length: number[] = [];
  let rest = bytes.length;
  do {
    length.push((rest % 128) + (rest >= 128 ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), bytes]);
};

/** `node.metadata` with a list in a list in a list. */
function deepStruct(): Buffer {
  let value: Buffer = Buffer.alloc(0);
  // Value.list_value (6) of ListValue.values (1).
  for (let level = 0; level < 5000; level++) value = field(6, field(1, value));
  return field(1, field(3, field(1, Buffer.concat([field(1, Buffer.from('a')), field(2, value)]))));
}

/** A field in a field in a field, at the start of a request. */
function deepNode(): Buffer {
  let value: Buffer = Buffer.alloc(0);
  for (let level = 0; level < 5000; level++) value = field(1, value);
  return value;
}

const metadata = (count: number): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, (_, index) =>
      field(1, Buffer.concat([field(1, Buffer.from(`key${index}`)), field(2, field(3, Buffer.from('value')))])),
    ),
  );

/** A large node, and then the field of nodes again and again: it is merged each time. */
function repeatedNode(): Buffer {
  return Buffer.concat([field(1, field(3, metadata(50_000))), Buffer.alloc(2 * MB, Buffer.from([0x0a, 0]))]);
}

/** The same with the node's metadata, of a well-known type. */
function repeatedMetadata(): Buffer {
  return field(1, Buffer.concat([field(3, metadata(50_000)), Buffer.alloc(2 * MB, Buffer.from([0x1a, 0]))]));
}

/** Megabytes of the smallest names that there are. */
function manyNames(): Buffer {
  return Buffer.alloc(4 * MB - 10, Buffer.from([0x1a, 0]));
}
