import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { decode } from '../decode.ts';
import { encode } from '../encode.ts';
import { type GrpcChannel, GrpcError, type GrpcServer, openGrpcChannel, reflectionMethods } from '../grpc.ts';
import { createGrpcServer, type GrpcServerOptions, type ServerCall, uriNames } from './server.ts';
import { makeTestCertificates } from './certificates.test-support.ts';

const BIG = 8 * 1024 * 1024;

async function echo(call: ServerCall): Promise<void> {
  for await (const message of call.messages()) {
    if (message.toString() === 'fail') throw new GrpcError('FAILED_PRECONDITION', 'nö: 100%');
    if (message.toString() === 'big') await call.write([Buffer.alloc(BIG / 2, 1), Buffer.alloc(BIG / 2, 2)]);
    else await call.write(message);
  }
}

const methods: GrpcServerOptions['methods'] = {
  '/test.Echo/Once': { kind: 'unary', handle: (request, call) => Buffer.from(`${request}|${call.peer.uris.join()}`) },
  '/test.Echo/Stream': { kind: 'stream', handle: echo },
  '/test.Echo/Never': { kind: 'unary', handle: () => new Promise(() => {}) },
  '/test.Echo/Broken': {
    kind: 'unary',
    handle: () => {
      throw new TypeError('a bug');
    },
  },
  ...reflectionMethods(['envoy.service.discovery.v3.AggregatedDiscoveryService']),
};

function same(bytes: Buffer): Buffer {
  return bytes;
}

describe('gRPC server', () => {
  let server: GrpcServer;
  let port = 0;
  let client: grpc.Client;
  const errors: string[] = [];
  before(async () => {
    server = createGrpcServer({
      methods,
      maxReceiveBytes: 64 * 1024,
      onError: (error, path) => errors.push(`${path} ${error}`),
    });
    port = ((await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo).port;
    client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
    });
  });
  after(async () => {
    client.close();
    await server.close(100);
  });

  const unary = (path: string, request: Buffer, options: grpc.CallOptions = {}): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(path, same, same, request, new grpc.Metadata(), options, (error, value) =>
        error ? reject(error) : resolve(value!),
      );
    });

  it('answers unary calls of grpc-js', async () => {
    assert.equal((await unary('/test.Echo/Once', Buffer.from('hello'))).toString(), 'hello|');
  });

  it('reports unknown methods, bugs, large messages and deadlines by status', async () => {
    const code = async (path: string, request: Buffer, options?: grpc.CallOptions): Promise<number> =>
      unary(path, request, options).then(
        () => 0,
        (error: grpc.ServiceError) => error.code,
      );
    assert.equal(await code('/test.Echo/None', Buffer.from('')), grpc.status.UNIMPLEMENTED);
    assert.equal(await code('/__proto__', Buffer.from('')), grpc.status.UNIMPLEMENTED);
    assert.equal(await code('/test.Echo/Broken', Buffer.from('')), grpc.status.INTERNAL);
    assert.deepEqual(errors, ['/test.Echo/Broken TypeError: a bug']);
    assert.equal(await code('/test.Echo/Once', Buffer.alloc(100_000)), grpc.status.RESOURCE_EXHAUSTED);
    assert.equal(
      await code('/test.Echo/Never', Buffer.from(''), { deadline: Date.now() + 50 }),
      grpc.status.DEADLINE_EXCEEDED,
    );
  });

  it('streams in both directions and ends with a status', async () => {
    const call = client.makeBidiStreamRequest('/test.Echo/Stream', same, same);
    const received: string[] = [];
    call.on('data', (message: Buffer) => received.push(message.toString()));
    call.write(Buffer.from('a'));
    call.write(Buffer.from(''));
    call.write(Buffer.from('fail'));
    const error = await new Promise<grpc.ServiceError>((resolve) => call.on('error', resolve));
    assert.deepEqual(received, ['a', '']);
    assert.equal(error.code, grpc.status.FAILED_PRECONDITION);
    assert.equal(error.details, 'nö: 100%');
  });

  it('sends a message larger than every window', async () => {
    const call = client.makeBidiStreamRequest('/test.Echo/Stream', same, same);
    const message = new Promise<Buffer>((resolve) => call.on('data', resolve));
    call.write(Buffer.from('big'));
    const bytes = await message;
    assert.equal(bytes.length, BIG);
    assert.equal(bytes[BIG / 2 - 1], 1);
    assert.equal(bytes[BIG / 2], 2);
    call.end();
    await new Promise((resolve) => call.on('status', resolve));
  });

  it('reads gzip and refuses what unpacks to more than the limit', async () => {
    const compressed = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      'grpc.default_compression_algorithm': 2,
    });
    const call = (bytes: Buffer): Promise<Buffer> =>
      new Promise((resolve, reject) => {
        compressed.makeUnaryRequest('/test.Echo/Once', same, same, bytes, (error, value) =>
          error ? reject(error) : resolve(value!),
        );
      });
    assert.equal((await call(Buffer.alloc(1000, 0x61))).length, 1001);
    await assert.rejects(call(Buffer.alloc(10_000_000, 0x61)), { code: grpc.status.RESOURCE_EXHAUSTED });
    compressed.close();
  });

  it('survives malformed frames and requests that are no gRPC', async () => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const send = (headers: http2.OutgoingHttpHeaders, body: Buffer): Promise<http2.IncomingHttpHeaders> =>
      new Promise((resolve) => {
        const stream = session.request({ ':method': 'POST', 'content-type': 'application/grpc', ...headers });
        let seen: http2.IncomingHttpHeaders = {};
        stream.on('error', () => {});
        stream.on('response', (response) => {
          seen = { ...seen, ...response };
        });
        stream.on('trailers', (trailers) => {
          seen = { ...seen, ...trailers };
        });
        stream.on('close', () => resolve(seen));
        stream.resume();
        stream.end(body);
      });
    const path = { ':path': '/test.Echo/Stream' };
    assert.equal((await send(path, Buffer.from([0, 0, 0, 0, 9, 1])))['grpc-status'], '13');
    assert.equal((await send(path, Buffer.from([9, 0, 0, 0, 0])))['grpc-status'], '13');
    assert.equal((await send(path, Buffer.from([0, 255, 255, 255, 255])))['grpc-status'], '8');
    assert.equal((await send(path, Buffer.from([1, 0, 0, 0, 1, 7])))['grpc-status'], '12');
    assert.equal((await send({ ...path, 'content-type': 'text/plain' }, Buffer.alloc(0)))[':status'], 415);
    assert.equal((await send({ ...path, ':method': 'GET' }, Buffer.alloc(0)))[':status'], 415);
    session.destroy();
    assert.equal((await unary('/test.Echo/Once', Buffer.from('still here'))).toString(), 'still here|');
  });

  it('keeps no more of unfinished messages than a connection and the server may hold', async () => {
    const small = createGrpcServer({ methods, maxReceiveBytes: 64 * 1024, maxConnectionBytes: 100_000 });
    const { port: at } = (await small.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
    const session = http2.connect(`http://127.0.0.1:${at}`);
    session.on('error', () => {});
    try {
      // Each message alone would be allowed; none is ever finished.
      const head = Buffer.alloc(5);
      head.writeUInt32BE(60_000, 1);
      const statuses = [1, 2, 3].map(
        () =>
          new Promise<string>((resolve) => {
            const stream = session.request({
              ':method': 'POST',
              ':path': '/test.Echo/Once',
              'content-type': 'application/grpc',
            });
            stream.on('error', () => {});
            stream.on('response', (headers) => resolve(String(headers['grpc-status'])));
            stream.write(Buffer.concat([head, Buffer.alloc(50_000)]));
            setTimeout(() => resolve('open'), 5000).unref();
          }),
      );
      assert.equal(await Promise.race(statuses), '8');
    } finally {
      session.destroy();
      await small.close(100);
    }
  });

  it('survives streams that are reset as they open', async () => {
    const before = errors.length;
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    const closed: Promise<void>[] = [];
    for (let round = 0; round < 50; round++) {
      for (const path of ['/test.Echo/Once', '/test.Echo/Stream', '/test.Echo/None']) {
        const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' });
        stream.on('error', () => {});
        closed.push(new Promise((resolve) => stream.once('close', resolve)));
        stream.close(http2.constants.NGHTTP2_CANCEL);
      }
    }
    await Promise.all(closed);
    session.destroy();
    assert.equal((await unary('/test.Echo/Once', Buffer.from('still there'))).toString(), 'still there|');
    assert.equal(errors.length, before);
  });

  it('tells a call when its client goes away', async () => {
    const aborted = Promise.withResolvers<string>();
    const watching = createGrpcServer({
      methods: {
        '/test.Echo/Wait': {
          kind: 'stream',
          handle: (call) =>
            new Promise((resolve) => {
              call.signal.addEventListener('abort', () => {
                aborted.resolve((call.signal.reason as GrpcError).status);
                resolve();
              });
            }),
        },
      },
    });
    const address = (await watching.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
    const channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: address.port });
    const stream = await channel.stream('/test.Echo/Wait');
    await stream.write(Buffer.from('x'));
    stream.cancel();
    assert.equal(await aborted.promise, 'CANCELLED');
    channel.close();
    await watching.close(100);
  });

  it('lists its services by reflection', async () => {
    const channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port });
    const stream = await channel.stream('/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo');
    await stream.write(encode('grpc.reflection.v1.ServerReflectionRequest', { listServices: '*' }));
    stream.end();
    for await (const bytes of stream.messages()) {
      const response = decode('grpc.reflection.v1.ServerReflectionResponse', bytes);
      assert.deepEqual(
        response.listServicesResponse?.service?.map((service) => service.name),
        ['envoy.service.discovery.v3.AggregatedDiscoveryService', 'grpc.reflection.v1alpha.ServerReflection'],
      );
    }
    channel.close();
  });

  it('ends streams with UNAVAILABLE when it closes', async () => {
    const closing = createGrpcServer({ methods });
    const address = (await closing.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
    const channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: address.port });
    const stream = await channel.stream('/test.Echo/Stream');
    await stream.write(Buffer.from('x'));
    const messages = stream.messages();
    assert.equal((await messages.next()).value?.toString(), 'x');
    const closed = closing.close(2000);
    await assert.rejects(messages.next(), { status: 'UNAVAILABLE' });
    await closed;
    await assert.rejects(channel.unary('/test.Echo/Once', Buffer.from('x')), { status: 'UNAVAILABLE' });
    channel.close();
  });
});

describe('gRPC over TLS and Unix sockets', () => {
  it('knows the client by the URI in its certificate', async () => {
    const certificates = await makeTestCertificates('spiffe://cluster.local/ns/a/sa/b');
    const strangers = await makeTestCertificates('spiffe://cluster.local/ns/a/sa/b');
    const server = createGrpcServer({
      methods,
      tls: { key: certificates.serverKey, cert: certificates.serverCert, ca: certificates.root },
    });
    const { port } = (await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
    const ask = async (tls: { key?: string; cert?: string }, root = certificates.root): Promise<string> => {
      const channel = openGrpcChannel({
        kind: 'tls',
        host: '127.0.0.1',
        port,
        serverName: 'istiod.istio-system.svc',
        tls: { ...tls, ca: root },
      });
      try {
        return (await channel.unary('/test.Echo/Once', Buffer.from('x'))).toString();
      } finally {
        channel.close();
      }
    };
    assert.equal(
      await ask({ key: certificates.clientKey, cert: certificates.clientCert }),
      'x|spiffe://cluster.local/ns/a/sa/b',
    );
    assert.equal(await ask({}), 'x|');
    assert.equal(await ask({ key: strangers.clientKey, cert: strangers.clientCert }), 'x|');
    await assert.rejects(ask({}, strangers.root), { status: 'UNAVAILABLE' });

    const client = new grpc.Client(
      `127.0.0.1:${port}`,
      grpc.credentials.createSsl(
        Buffer.from(certificates.root),
        Buffer.from(certificates.clientKey),
        Buffer.from(certificates.clientCert),
      ),
      { 'grpc.ssl_target_name_override': 'istiod.istio-system.svc' },
    );
    const answer = await new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest('/test.Echo/Once', same, same, Buffer.from('y'), (error, value) =>
        error ? reject(error) : resolve(value!),
      );
    });
    assert.equal(answer.toString(), 'y|spiffe://cluster.local/ns/a/sa/b');
    client.close();

    server.setTls({ key: strangers.serverKey, cert: strangers.serverCert, ca: strangers.root });
    assert.equal(
      await ask({ key: strangers.clientKey, cert: strangers.clientCert }, strangers.root),
      'x|spiffe://cluster.local/ns/a/sa/b',
    );
    await assert.rejects(ask({}), { status: 'UNAVAILABLE' });
    await server.close(100);
  });

  it('ends the connection of a client that it refuses for a certificate that does not verify, so that a newer one can be shown', async () => {
    const certificates = await makeTestCertificates('spiffe://cluster.local/ns/a/sa/b');
    const strangers = await makeTestCertificates('spiffe://cluster.local/ns/a/sa/b');
    const server = createGrpcServer({
      methods: {
        '/test.Echo/Members': {
          kind: 'stream',
          handle: async (call) => {
            if (call.peer.uris.length === 0) throw new GrpcError('UNAUTHENTICATED', 'members only');
            await call.write(Buffer.from('welcome'));
          },
        },
      },
      tls: { key: certificates.serverKey, cert: certificates.serverCert, ca: certificates.root },
    });
    const { port } = (await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
    const connect = (tls: { key?: string; cert?: string }) =>
      http2.connect(`https://127.0.0.1:${port}`, {
        ...tls,
        ca: certificates.root,
        servername: 'istiod.istio-system.svc',
      });
    const ask = (session: http2.ClientHttp2Session) =>
      new Promise<unknown>((resolve, reject) => {
        const stream = session.request({
          ':method': 'POST',
          ':path': '/test.Echo/Members',
          'content-type': 'application/grpc',
        });
        let status: unknown;
        stream.on('response', (headers) => (status ??= headers['grpc-status']));
        stream.on('trailers', (headers) => (status ??= headers['grpc-status']));
        stream.on('error', reject);
        stream.on('close', () => resolve(status));
        stream.resume();
        stream.end();
      });

    const stranger = connect({ key: strangers.clientKey, cert: strangers.clientCert });
    const closed = new Promise<void>((resolve) => stranger.once('close', () => resolve()));
    assert.equal(await ask(stranger), '16');
    await closed;

    // Who shows none at all may still do better in the next call, by a token; members stay as they are.
    const nobody = connect({});
    assert.equal(await ask(nobody), '16');
    assert.equal(await ask(nobody), '16');
    const member = connect({ key: certificates.clientKey, cert: certificates.clientCert });
    assert.equal(await ask(member), '0');
    assert.equal(await ask(member), '0');
    nobody.close();
    member.close();
    await server.close(100);
  });

  it('listens on a Unix socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'grpc-'));
    const path = join(folder, 's');
    const server = createGrpcServer({ methods });
    await server.listen({ path });
    const channel = openGrpcChannel({ kind: 'unix', path });
    assert.equal((await channel.unary('/test.Echo/Once', Buffer.from('x'))).toString(), 'x|');
    channel.close();
    await server.close(100);
    rmSync(folder, { recursive: true });
  });

  it('does not take names apart that were made to confuse', () => {
    assert.deepEqual(uriNames('DNS:a, URI:spiffe://x/y'), ['spiffe://x/y']);
    assert.deepEqual(uriNames('DNS:"a, URI:spiffe://x/y"'), []);
  });
});

describe('gRPC client', () => {
  let server: grpc.Server;
  let channel: GrpcChannel;
  before(async () => {
    server = new grpc.Server();
    const definition = (path: string, streams: boolean) => ({
      path,
      requestStream: streams,
      responseStream: streams,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    });
    server.addService(
      { Once: definition('/test.Echo/Once', false), Stream: definition('/test.Echo/Stream', true) },
      {
        Once: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
          if (call.request.toString() === 'fail') done({ code: grpc.status.PERMISSION_DENIED, details: 'nö: 100%' });
          else done(null, Buffer.from(`${call.request}|${call.metadata.get('authorization')[0] ?? ''}`));
        },
        Stream: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
          call.on('data', (message) => call.write(message));
          call.on('end', () => call.end());
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port });
  });
  after(() => {
    channel.close();
    server.forceShutdown();
  });

  it('calls grpc-js and reads its status', async () => {
    const answer = await channel.unary('/test.Echo/Once', Buffer.from('x'), {
      metadata: { authorization: 'Bearer t' },
    });
    assert.equal(answer.toString(), 'x|Bearer t');
    await assert.rejects(channel.unary('/test.Echo/Once', Buffer.from('fail')), {
      status: 'PERMISSION_DENIED',
      message: 'nö: 100%',
    });
    await assert.rejects(channel.unary('/test.Echo/None', Buffer.from('x')), { status: 'UNIMPLEMENTED' });
  });

  it('streams with grpc-js', async () => {
    const stream = await channel.stream('/test.Echo/Stream');
    await stream.write([Buffer.from('a'), Buffer.from('b')]);
    await stream.write(Buffer.alloc(1_000_000));
    stream.end();
    const sizes: number[] = [];
    for await (const message of stream.messages()) sizes.push(message.length);
    assert.deepEqual(sizes, [2, 1_000_000]);
  });
});
