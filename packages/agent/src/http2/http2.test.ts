import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openGrpcChannel } from '@istio-ts/envoy/grpc/client';
import { createGrpcServer } from '@istio-ts/envoy/grpc/server';
import { GrpcError } from '@istio-ts/envoy/grpc/status';
import fc from 'fast-check';
import { Http2Error } from './frames.ts';
import { createSmallGrpcServer } from './grpc-server.ts';
import { checkGrpcHealth } from './health-check.ts';
import { encodeHeaders, HpackDecoder } from './hpack.ts';

const directory = mkdtempSync(join(tmpdir(), 'agent-h2-'));
const socket = join(directory, 'socket');
const errors: unknown[] = [];
const paths: string[] = [];
let open = 0;
const server = createSmallGrpcServer({
  open(path, call) {
    paths.push(path);
    if (path === '/unknown') return undefined;
    open++;
    return {
      message(bytes) {
        if (bytes.toString() === 'fail') throw new GrpcError('NOT_FOUND', 'not här');
        if (bytes.toString() === 'crash') throw new Error('secret detail');
        call.send(path === '/big' ? Buffer.alloc(3_000_000, bytes) : bytes);
      },
      end: () => call.finish(),
      close: () => open--,
    };
  },
  onError: (error) => errors.push(error),
});
before(() => server.listen(socket));
after(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

test('calls of a full gRPC client are answered, large messages within the windows', async () => {
  const channel = openGrpcChannel({ kind: 'unix', path: socket });
  try {
    assert.equal((await channel.unary('/echo', Buffer.from('hello'))).toString(), 'hello');
    const big = await channel.unary('/big', Buffer.from('x'));
    assert.ok(big.equals(Buffer.alloc(3_000_000, 'x')));
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, n) => channel.unary(`/echo/${n}`, Buffer.alloc(50_000, n))),
    );
    for (const [n, answer] of all.entries()) assert.ok(answer.equals(Buffer.alloc(50_000, n)));
    await assert.rejects(
      channel.unary('/unknown', Buffer.alloc(0)),
      (error) => error instanceof GrpcError && error.status === 'UNIMPLEMENTED',
    );
    await assert.rejects(
      channel.unary('/echo', Buffer.from('fail')),
      (error) => error instanceof GrpcError && error.status === 'NOT_FOUND' && error.message === 'not här',
    );
    await assert.rejects(
      channel.unary('/echo', Buffer.from('crash')),
      (error) => error instanceof GrpcError && error.status === 'INTERNAL' && !error.message.includes('secret'),
    );
    await assert.rejects(
      channel.unary('/echo', Buffer.alloc(1_100_000)),
      (error) => error instanceof GrpcError && error.status === 'RESOURCE_EXHAUSTED',
    );
    const stream = await channel.stream('/echo');
    const messages = stream.messages();
    for (const word of ['one', 'two']) {
      await stream.write(Buffer.from(word));
      assert.equal((await messages.next()).value?.toString(), word);
    }
    stream.end();
    assert.equal((await messages.next()).done, true);
  } finally {
    channel.close();
  }
});

test("headers of Node's encoder, with every printable character, are read", async () => {
  const printable = Array.from({ length: 94 }, (_, n) => String.fromCharCode(0x21 + n)).join('');
  const session = http2.connect('http://localhost', { createConnection: () => connect(socket) });
  try {
    for (const path of [`/${printable}`, '/echo', `/${printable.repeat(20)}`, '/echo', `/${printable}`]) {
      await new Promise<void>((resolve, reject) => {
        const request = session.request({
          ':method': 'POST',
          ':path': path,
          'content-type': 'application/grpc',
          'x-long': printable,
        });
        request.on('close', resolve);
        request.on('error', reject);
        request.resume();
        request.end();
      });
      assert.equal(paths.at(-1), path);
    }
  } finally {
    session.destroy();
  }
});

test('bytes that are no HTTP/2 end the connection and nothing else', async () => {
  for (const bytes of [
    'GET / HTTP/1.1\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x00\x00\x00\x00\x00\x00',
  ]) {
    await new Promise<void>((resolve, reject) => {
      const client = connect(socket, () => client.write(bytes, 'latin1'));
      client.on('close', () => resolve());
      client.on('error', reject);
      client.resume();
    });
    assert.ok(errors.at(-1) instanceof Http2Error);
  }
});

test('the header decoder reads its own encoder and raises only its own error', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.stringMatching(/^[a-z-]{1,20}$/), fc.string({ unit: 'binary-ascii', maxLength: 300 })), {
        maxLength: 20,
      }),
      (headers) => {
        assert.deepEqual(new HpackDecoder().decode(encodeHeaders(headers)), headers);
      },
    ),
    { numRuns: 100 },
  );
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 }), (blocks) => {
      const decoder = new HpackDecoder();
      try {
        for (const block of blocks) decoder.decode(Buffer.from(block));
      } catch (error) {
        assert.ok(error instanceof Http2Error, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

test('health checks are understood by a full gRPC server', async () => {
  const seen: string[] = [];
  const health = createGrpcServer({
    methods: {
      '/grpc.health.v1.Health/Check': {
        kind: 'unary',
        handle: (request) => {
          seen.push(request.subarray(2).toString());
          if (request.length > 2) throw new GrpcError('NOT_FOUND', 'unknown service');
          return Buffer.of(0x08, 1);
        },
      },
    },
  });
  const address = (await health.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
  const options = { host: '127.0.0.1', port: address.port, localAddress: undefined, timeoutMs: 5000 };
  try {
    assert.equal(await checkGrpcHealth({ ...options, service: '' }), 1);
    assert.equal(await checkGrpcHealth({ ...options, service: 'shop' }), 0);
    assert.deepEqual(seen, ['', 'shop']);
  } finally {
    await health.close();
  }
  await assert.rejects(checkGrpcHealth({ ...options, service: '' }), /ECONNREFUSED/);
});

test('no call of any of these tests is left open', () => assert.equal(open, 0));
