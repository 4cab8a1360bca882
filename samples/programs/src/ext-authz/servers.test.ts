import assert from 'node:assert/strict';
import type { AddressInfo, Server } from 'node:net';
import { connect } from 'node:http2';
import { after, test } from 'node:test';
import { grpcChecks, httpChecks } from './servers.ts';

const http = httpChecks('friend');
const grpc = grpcChecks('friend');
const listen = (server: Pick<Server, 'listen' | 'address'>): Promise<number> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));
after(() => {
  http.close();
  grpc.close();
});

test('HTTP: a header decides, or who calls', async () => {
  const url = `http://127.0.0.1:${await listen(http)}/some/path`;
  const ask = async (headers: Readonly<Record<string, string>>) => {
    const answer = await fetch(url, { headers });
    return [answer.status, answer.headers.get('x-ext-authz-check-result'), await answer.text()];
  };
  assert.deepEqual(await ask({ 'x-ext-authz': 'allow' }), [200, 'allowed', '']);
  const [status, result, body] = await ask({ 'x-ext-authz': 'deny' });
  assert.deepEqual([status, result], [403, 'denied']);
  assert.match(String(body), /x-ext-authz: allow/);
  const friend = { 'x-forwarded-client-cert': 'By=spiffe://d/ns/a/sa/b;URI=spiffe://d/ns/a/sa/friend' };
  assert.deepEqual((await ask(friend))[0], 200);
});

/** Bytes of a field with a length, for the request. */
const field = (number: number, ...parts: readonly (Buffer | string)[]): Buffer => {
  const inside = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.from([number * 8 + 2, inside.length]), inside]);
};

test('gRPC: the same, in messages', async () => {
  const session = connect(`http://127.0.0.1:${await listen(grpc)}`);
  const ask = (message: Buffer, path = '/envoy.service.auth.v3.Authorization/Check') =>
    new Promise<{ readonly status: string; readonly data: Buffer }>((resolve, reject) => {
      const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' });
      const chunks: Buffer[] = [];
      let status = '';
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('trailers', (trailers) => {
        status = String(trailers['grpc-status']);
      });
      stream.on('error', reject);
      stream.on('end', () => resolve({ status, data: Buffer.concat(chunks) }));
      stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
    });
  const check = (value: string) =>
    field(1, field(4, field(2, field(2, 'GET'), field(3, field(1, 'x-ext-authz'), field(2, value)), field(4, '/x'))));
  try {
    const allowed = await ask(check('allow'));
    assert.equal(allowed.status, '0');
    assert.match(allowed.data.toString(), /x-ext-authz-check-result.*allowed/s);
    const denied = await ask(check('deny'));
    assert.equal(denied.status, '0');
    assert.match(denied.data.toString(), /x-ext-authz-check-result.*denied/s);
    assert.equal((await ask(check('allow'), '/other')).status, '12');
  } finally {
    session.close();
  }
});
