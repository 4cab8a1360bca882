import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { blob } from '../oci/blob.ts';
import { registryClient } from './client.ts';
import { hastyNetwork, images, LOGIN, tokenRegistry } from './registry.test-support.ts';
import { RegistryError } from './registry-error.ts';
import { push } from './push.ts';

const content = blob('text/plain', Buffer.from('content'));
const digest = encodeURIComponent(content.descriptor.digest);

/** A registry that is only a function of the requests; it remembers where the login went. */
function registryOf(answers: (method: string, url: URL) => Response) {
  const asked: { readonly method: string; readonly url: string; readonly login: boolean }[] = [];
  const network = hastyNetwork(async (input, init) => {
    const method = init?.method ?? 'GET';
    asked.push({ method, url: `${input}`, login: new Headers(init?.headers).has('authorization') });
    if (new Headers(init?.headers).has('authorization') || `${input}`.startsWith('https://storage'))
      return answers(method, new URL(`${input}`));
    return new Response(null, { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } });
  });
  return { network, asked };
}

const uploadTo =
  (location: string | undefined) =>
  (method: string): Response => {
    if (method === 'HEAD') return new Response(null, { status: 404 });
    if (method === 'POST')
      return new Response(null, { status: 202, headers: location === undefined ? {} : { location } });
    return new Response(null, { status: 201 });
  };

for (const [what, location, sentTo, login] of [
  [
    'without TLS on the same host is taken for one with TLS',
    'http://registry.test/up?a=1',
    `https://registry.test/up?a=1&digest=${digest}`,
    true,
  ],
  ['on another host gets no login', 'https://storage.test/up', `https://storage.test/up?digest=${digest}`, false],
  [
    'keeps its own query to the letter',
    '/up?_state=a%3D%3d+b%20c&x',
    `https://registry.test/up?_state=a%3D%3d+b%20c&x&digest=${digest}`,
    true,
  ],
] as const)
  test(`a place for an upload ${what}`, async () => {
    const { network, asked } = registryOf(uploadTo(location));
    const client = registryClient('https://registry.test', LOGIN, network);
    assert.equal(await client.putBlob('team/pilot', content, undefined), 'sent');
    assert.deepEqual(asked.at(-1), { method: 'PUT', url: sentTo, login });
    assert.ok(asked.every(({ url, login: went }) => !went || url.startsWith('https://registry.test/')));
  });

for (const [what, location, message] of [
  ['without TLS on another host', 'http://storage.test/up', /sends uploads to http:\/\/storage\.test, without TLS/],
  ['that is not given', undefined, /does not say where an upload goes$/],
  ['that is no address', 'http://', /does not say where an upload goes: "http:\/\/" is no address/],
] as const)
  test(`a place for an upload ${what} is refused`, async () => {
    const { network, asked } = registryOf(uploadTo(location));
    const client = registryClient('https://registry.test', LOGIN, network);
    await assert.rejects(
      client.putBlob('team/pilot', content, undefined),
      (error: Error) => error instanceof RegistryError && message.test(error.message),
    );
    assert.ok(!asked.some(({ method }) => method === 'PUT'));
  });

test('another server cannot ask for the login, and a token server without TLS does not get it', async () => {
  const { network, asked } = registryOf((method, { host }) =>
    host === 'storage.test'
      ? new Response(null, { status: 401, headers: { 'www-authenticate': 'Bearer realm="https://thief.test"' } })
      : uploadTo('https://storage.test/up')(method),
  );
  const client = registryClient('https://registry.test', LOGIN, network);
  await assert.rejects(client.putBlob('team/pilot', content, undefined), /refuses a layer of team\/pilot: 401/);
  assert.ok(asked.every(({ url, login }) => !login || url.startsWith('https://registry.test/')));

  const sent: string[] = [];
  const plain = hastyNetwork(async (url) => {
    sent.push(`${url}`);
    return new Response(null, {
      status: 401,
      headers: { 'www-authenticate': 'Bearer realm="http://registry.test/token"' },
    });
  });
  await assert.rejects(
    registryClient('https://registry.test', LOGIN, plain).putBlob('team/pilot', content, undefined),
    /names http:\/\/registry\.test as its token server, to which the login would go without TLS/,
  );
  assert.equal(sent.length, 1);
});

for (const status of [400, 403, 405])
  test(`content is not taken for missing when the registry answers ${status}`, async () => {
    const { network, asked } = registryOf(() => new Response(null, { status }));
    await assert.rejects(
      registryClient('https://registry.test', LOGIN, network).putBlob('team/pilot', content, undefined),
      new RegExp(`refuses to say whether team/pilot has sha256:\\w+: ${status}`),
    );
    assert.ok(asked.every(({ method }) => method === 'HEAD'));
  });

/** Lets the first requests of each kind, `METHOD PATH` with what differs left out, fail in a way. */
function failingAtFirst(times: number, fail: (incoming: IncomingMessage, outgoing: ServerResponse) => void) {
  const seen = new Map<string, number>();
  return {
    seen,
    instead: (incoming: IncomingMessage, outgoing: ServerResponse): boolean => {
      const kind = `${incoming.method} ${/token|blobs\/uploads|blobs|manifests/.exec(incoming.url ?? '')?.[0]}`;
      const count = (seen.get(kind) ?? 0) + 1;
      seen.set(kind, count);
      if (count <= times) fail(incoming, outgoing);
      return count <= times;
    },
  };
}

for (const [what, fail] of [
  ['429', (_: IncomingMessage, outgoing: ServerResponse) => outgoing.writeHead(429).end()],
  ['503', (_: IncomingMessage, outgoing: ServerResponse) => outgoing.writeHead(503).end()],
  ['a connection that breaks', (incoming: IncomingMessage) => incoming.socket.resetAndDestroy()],
] as const)
  test(`a push survives ${what}, once for each kind of request`, async (context) => {
    const { instead, seen } = failingAtFirst(1, fail);
    const { address, uploads } = await tokenRegistry(context, { instead });
    const network = hastyNetwork();
    await push(registryClient(address, LOGIN, network), 'team/pilot', '1', images, new Map());
    assert.equal(uploads.length, 3);
    for (const kind of ['HEAD blobs', 'GET token', 'POST blobs/uploads', 'PUT blobs/uploads', 'PUT manifests'])
      assert.ok((seen.get(kind) ?? 0) > 1, kind);
    assert.ok(network.pauses.length >= 5);
  });

test('what does not pass is given up after growing pauses', async (context) => {
  const { instead } = failingAtFirst(100, (_, outgoing) => outgoing.writeHead(502).end('the proxy\u001b[31m says'));
  const { address } = await tokenRegistry(context, { instead });
  const network = hastyNetwork();
  await assert.rejects(
    registryClient(address, LOGIN, network).putBlob('team/pilot', content, undefined),
    (error: Error) =>
      error instanceof RegistryError && /has sha256:\w+: 502 Bad Gateway .*\(tried 5 times\)/.test(error.message),
  );
  assert.deepEqual(network.pauses, [1000, 2000, 4000, 8000]);
});

for (const [what, value, pauses] of [
  ['in seconds', '7', [7000]],
  ['as a date', 'Thu, 01 Jan 2026 00:00:30 GMT', [30_000]],
  ['that is shorter than the own pause', '0', [1000]],
  ['that is none', 'soon', [1000]],
] as const)
  test(`a registry is asked again after its Retry-After ${what}`, async (context) => {
    const { instead } = failingAtFirst(1, ({ method }, outgoing) =>
      outgoing.writeHead(method === 'PUT' ? 429 : 404, { 'retry-after': value }).end(),
    );
    const { address } = await tokenRegistry(context, {
      instead: (incoming, outgoing) => incoming.method === 'PUT' && instead(incoming, outgoing),
    });
    const network = hastyNetwork();
    assert.equal(await registryClient(address, LOGIN, network).putBlob('team/pilot', content, undefined), 'sent');
    assert.deepEqual(network.pauses, pauses);
  });

test('a registry that wants to be left alone for long is told of at once', async (context) => {
  const { instead } = failingAtFirst(1, (_, outgoing) => outgoing.writeHead(429, { 'retry-after': '21600' }).end());
  const { address } = await tokenRegistry(context, { instead });
  const network = hastyNetwork();
  await assert.rejects(
    registryClient(address, LOGIN, network).putBlob('team/pilot', content, undefined),
    /429 Too Many Requests.*asked again in 21600 s/,
  );
  assert.deepEqual(network.pauses, []);
});
