import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { createRedisClient, RedisError, readReply } from './redis-client.ts';

/** A server that answers each connection as told, on a free port. */
function serve(
  answer: (socket: Socket, number: number) => void,
): Promise<{ readonly server: Server; readonly port: number }> {
  let connections = 0;
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    answer(socket, ++connections);
  });
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve({ server, port: (server.address() as { port: number }).port })),
  );
}

test('replies of every kind, in pieces of any size', () => {
  const bytes = Buffer.from('*5\r\n+OK\r\n:7\r\n$2\r\nab\r\n$-1\r\n*1\r\n:1\r\n');
  assert.deepEqual(readReply(bytes)?.reply, ['OK', 7, 'ab', null, [1]]);
  for (let length = 0; length < bytes.length; length++) assert.equal(readReply(bytes.subarray(0, length)), undefined);
  assert.ok(readReply(Buffer.from('-ERR no\r\n'))?.reply instanceof RedisError);
  assert.throws(() => readReply(Buffer.from('HTTP/1.1 400\r\n')), /not in the Redis protocol/);
});

test('answers come in the order of the commands', async () => {
  const { server, port } = await serve((socket) =>
    socket.on('data', (chunk) =>
      socket.write(
        `:${chunk.toString().match(/\*1/g)?.length ?? 0}\r\n`.repeat(chunk.toString().match(/\*1/g)?.length ?? 0),
      ),
    ),
  );
  const client = createRedisClient({ host: '127.0.0.1', port });
  assert.equal((await Promise.all([client.command(['A']), client.command(['B'])])).length, 2);
  client.close();
  server.close();
});

test('a connection that is closed at once, as a proxy does before its upstream is there, is made again', async () => {
  const { server, port } = await serve((socket, number) => {
    if (number <= 2) socket.destroy();
    else socket.on('data', () => socket.write('+PONG\r\n'));
  });
  const client = createRedisClient({ host: '127.0.0.1', port });
  await assert.rejects(client.command(['PING'], true), /redis at 127\.0\.0\.1/);
  assert.equal(await client.command(['PING'], true), 'PONG');
  client.close();
  server.close();
});

test('a server that is not there is an error, and no obstacle once it is', async () => {
  const { server, port } = await serve(() => undefined);
  await new Promise((resolve) => server.close(resolve));
  const client = createRedisClient({ host: '127.0.0.1', port });
  await assert.rejects(client.command(['PING'], true), /ECONNREFUSED/);
  const back = createServer((socket) => socket.on('data', () => socket.write('+PONG\r\n')));
  await new Promise<void>((resolve) => back.listen(port, '127.0.0.1', resolve));
  assert.equal(await client.command(['PING']), 'PONG');
  client.close();
  back.close();
});

test('a server that never answers is given up', async () => {
  const { server, port } = await serve(() => undefined);
  const client = createRedisClient({ host: '127.0.0.1', port, timeoutMs: 50 });
  await assert.rejects(client.command(['PING']), /no answer within 50 ms/);
  client.close();
  server.close();
});
