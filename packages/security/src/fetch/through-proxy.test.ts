import assert from 'node:assert/strict';
import type { LookupAddress, LookupOptions } from 'node:dns';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { selfSigned } from '@istio-ts/xds/testing/certificate';
import { forbiddenAddresses } from './addresses.ts';
import { FetchError, fetchDocument, type FetchPolicy } from './fetch.ts';
import { proxiesOf } from './proxies.ts';

/** Documents through the proxy that the environment names: a real one on loopback, which finds every name at the servers of this test. */

const certificate = selfSigned('localhost', { extension: 'subjectAltName=DNS:idp.test,DNS:proxy.test' });
const plain = createServer((request, response) => response.end(`plain ${request.headers.host} ${request.url}`));
const secure = createTlsServer({ cert: certificate.certificate, key: certificate.key }, (request, response) =>
  response.end(`secure ${request.headers.host} ${request.headers['proxy-authorization'] ?? 'no credentials'}`),
);
const asked: string[] = [];
let open: ((authority: string) => boolean) | undefined;

function behave(proxy: Server): void {
  proxy.on('request', (incoming, response) => {
    asked.push(`${incoming.url} ${incoming.headers['proxy-authorization'] ?? ''}`.trim());
    const target = new URL(incoming.url ?? '');
    const onward = httpRequest(
      { host: '127.0.0.1', port: portOf(plain), path: target.pathname, headers: { host: incoming.headers.host } },
      (got) => got.pipe(response),
    );
    onward.end();
  });
  proxy.on('connect', (incoming, socket) => {
    asked.push(`CONNECT ${incoming.url} ${incoming.headers['proxy-authorization'] ?? ''}`.trim());
    socket.on('error', () => undefined);
    if (open?.(incoming.url ?? '') === false) {
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    const onward = connect(portOf(secure), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
  });
}
const proxy = createServer();
const secureProxy = createTlsServer({ cert: certificate.certificate, key: certificate.key });
for (const one of [proxy, secureProxy]) behave(one);
const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

before(async () => {
  for (const server of [plain, secure, proxy, secureProxy])
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
});
after(() => {
  for (const server of [plain, secure, proxy, secureProxy]) {
    server.closeAllConnections();
    server.close();
  }
});
beforeEach(() => {
  asked.length = 0;
  open = undefined;
});

/** What this machine's name server says; the rest only the proxy knows. */
const names: Readonly<Record<string, string>> = {
  'proxy.test': '127.0.0.1',
  'inside.test': '127.0.0.1',
  'metadata.test': '169.254.169.254',
  'public.test': '192.0.2.1',
};
const resolve = ((host: string, options: LookupOptions, done: (...result: readonly unknown[]) => void) => {
  const address = names[host];
  if (address === undefined) done(Object.assign(new Error(`${host} is unknown`), { code: 'ENOTFOUND' }));
  else if (options.all) done(null, [{ address, family: 4 }] satisfies LookupAddress[]);
  else done(null, address, 4);
}) as unknown as NonNullable<FetchPolicy['resolve']>;

function fetch(url: string, environment: Readonly<Record<string, string>>): Promise<string> {
  return fetchDocument(url, 5000, {
    forbids: forbiddenAddresses('', ''),
    remedy: 'the operator may allow it',
    extraRoots: () => certificate.certificate,
    proxies: proxiesOf(environment),
    resolve,
  });
}
const byPlain = (credentials = '') => `http://${credentials}127.0.0.1:${portOf(proxy)}`;

test('http goes to the proxy as it is, https through a tunnel in which the server proves its name', async () => {
  assert.equal(await fetch('http://idp.test/keys', { HTTP_PROXY: byPlain() }), 'plain idp.test /keys');
  assert.equal(await fetch('http://public.test:81/keys', { HTTP_PROXY: byPlain() }), 'plain public.test:81 /keys');
  assert.equal(await fetch('https://idp.test/keys', { HTTPS_PROXY: byPlain() }), 'secure idp.test no credentials');
  assert.deepEqual(asked, ['http://idp.test/keys', 'http://public.test:81/keys', 'CONNECT idp.test:443']);
  await assert.rejects(
    fetch('https://other.test/', { HTTPS_PROXY: byPlain() }),
    /does not match certificate's altnames/,
  );
});

test('a proxy may want credentials and may speak TLS itself', async () => {
  const basic = `Basic ${Buffer.from('user:p@ss').toString('base64')}`;
  assert.equal(
    await fetch('https://idp.test/keys', { HTTPS_PROXY: byPlain('user:p%40ss@') }),
    'secure idp.test no credentials',
  );
  await fetch('http://idp.test/keys', { HTTP_PROXY: byPlain('user:p%40ss@') });
  assert.deepEqual(asked, [`CONNECT idp.test:443 ${basic}`, `http://idp.test/keys ${basic}`]);
  const byTls = `https://proxy.test:${portOf(secureProxy)}`;
  assert.match(await fetch('https://idp.test/keys', { HTTPS_PROXY: byTls }), /^secure/);
  assert.match(await fetch('http://idp.test/keys', { HTTP_PROXY: byTls }), /^plain/);
});

test('exceptions are asked directly', async () => {
  await assert.rejects(
    fetch('http://idp.test/keys', { HTTP_PROXY: byPlain(), NO_PROXY: '.test' }),
    /idp\.test is unknown/,
  );
  assert.deepEqual(asked, []);
});

test('the proxy is not asked for what is forbidden here', async () => {
  const environment = { HTTP_PROXY: byPlain(), HTTPS_PROXY: byPlain() };
  for (const url of [
    'http://169.254.169.254/latest/',
    'https://169.254.169.254/latest/',
    'http://2852039166/',
    'http://[::ffff:169.254.169.254]/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://127.0.0.1/',
    'http://[::1]/',
    'http://inside.test/',
    'https://metadata.test/',
    'http://x.localhost/',
    'https://metadata.google.internal./computeMetadata/v1/',
  ])
    await assert.rejects(fetch(url, environment), /nothing is fetched from/, url);
  assert.deepEqual(asked, []);
});

test('a proxy that refuses, or that is not there, is told of', async () => {
  open = () => false;
  const port = portOf(proxy);
  await assert.rejects(fetch('https://idp.test/keys', { HTTPS_PROXY: byPlain('user:secret@') }), (error: Error) => {
    assert.ok(error instanceof FetchError);
    assert.equal(error.message, `https://idp.test/keys: the proxy 127.0.0.1:${port} refuses with status 403`);
    return true;
  });
  await assert.rejects(fetch('https://idp.test/keys', { HTTPS_PROXY: 'http://127.0.0.1:1' }), /ECONNREFUSED/);
});
