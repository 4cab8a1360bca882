import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { recordingLogger } from '../log.test-support.ts';
import { createHttpServer } from './server.ts';

test('bodies that arrive at the same time are bounded together, and the room comes back', async () => {
  const server = createHttpServer({
    routes: { '/': ({ body }) => ({ status: 200, body: String(body.length) }) },
    maxBodyBytes: 1000,
    maxWaitingBytes: 1500,
    log: recordingLogger(),
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const post = (): { readonly request: http.ClientRequest; readonly status: Promise<number | undefined> } => {
    const request = http.request({ host: '127.0.0.1', port, method: 'POST', agent: false });
    const status = new Promise<number | undefined>((resolve) => {
      request.on('response', (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.on('error', () => resolve(undefined));
    });
    return { request, status };
  };
  try {
    const slow = [post(), post()];
    for (const { request } of slow) request.write(Buffer.alloc(900));
    // One of the two did not fit; the other one is answered when it is complete.
    assert.equal(await Promise.race(slow.map(({ status }) => status)), 503);
    for (const { request } of slow) request.end();
    assert.deepEqual((await Promise.all(slow.map(({ status }) => status))).sort(), [200, 503]);
    const next = post();
    next.request.end(Buffer.alloc(900));
    assert.equal(await next.status, 200);
  } finally {
    await server.close(100);
  }
});
