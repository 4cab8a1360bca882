import assert from 'node:assert/strict';
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { selfSigned } from '@istio-ts/xds/testing/certificate';
import { forbiddenAddresses } from './addresses.ts';
import { FetchError, fetchDocument, fetchFrom, type FetchPolicy } from './fetch.ts';
import { hostileUrls } from './hostile-urls.test-support.ts';

describe('fetchDocument', () => {
  const certificate = selfSigned('localhost', { extension: 'subjectAltName=DNS:idp.test' });
  let plain: Server;
  let secure: ReturnType<typeof createTlsServer>;
  let http = '';
  let https = '';
  const seen: string[] = [];
  const serve: RequestListener = (request, response) => {
    const path = request.url ?? '';
    seen.push(path);
    if (path === '/keys') response.end('{"keys":[]}');
    else if (path === '/hop') response.writeHead(302, { location: '/keys' }).end();
    else if (path === '/loop') response.writeHead(302, { location: '/loop' }).end();
    else if (path === '/down') response.writeHead(302, { location: `${http}/keys` }).end();
    else if (path === '/metadata') response.writeHead(302, { location: 'http://169.254.169.254/latest/' }).end();
    else if (path === '/inside') response.writeHead(302, { location: 'http://inside.test/keys' }).end();
    else if (path === '/large') response.end('x'.repeat(1024 * 1024 + 1));
    else if (path === '/slow') response.write('{');
    else if (path === '/drops') {
      const drops = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drops));
    } else if (path === '/headers')
      response.end(`${request.headers.authorization ?? ''} ${String(request.headers['x-kept'] ?? '')}`);
    else if (path.startsWith('/to?')) response.writeHead(302, { location: decodeURIComponent(path.slice(4)) }).end();
    else response.writeHead(404).end();
  };
  before(async () => {
    plain = createServer(serve);
    secure = createTlsServer({ cert: certificate.certificate, key: certificate.key }, serve);
    await new Promise<void>((done) => plain.listen(0, '127.0.0.3', done));
    await new Promise<void>((done) => secure.listen(0, '127.0.0.3', done));
    http = `http://127.0.0.3:${(plain.address() as AddressInfo).port}`;
    https = `https://idp.test:${(secure.address() as AddressInfo).port}`;
  });
  after(() => {
    plain.closeAllConnections();
    plain.close();
    secure.closeAllConnections();
    secure.close();
  });
  const policy: FetchPolicy = {
    forbids: forbiddenAddresses('', '127.0.0.3'),
    remedy: 'the operator may allow it',
    extraRoots: () => certificate.certificate,
    insecure: false,
  };
  // Names of this test, as a name server would have them.
  const names: Readonly<Record<string, readonly string[]>> = {
    'idp.test': ['127.0.0.3'],
    'inside.test': ['127.0.0.1'],
    'mixed.test': ['127.0.0.3', '169.254.169.254'],
  };
  const resolve = ((host: string, options: LookupOptions, done: (...result: readonly unknown[]) => void) => {
    const found: LookupAddress[] = (names[host] ?? []).map((address) => ({ address, family: 4 }));
    if (options.all) done(null, found);
    else done(null, found[0]?.address, 4);
  }) as unknown as NonNullable<FetchPolicy['resolve']>;
  const fetch = (url: string, more: Partial<FetchPolicy> = {}, timeoutMs = 5000): Promise<string> =>
    fetchDocument(url, timeoutMs, { ...policy, resolve, ...more });
  const refused = (url: string, message: RegExp, more: Partial<FetchPolicy> = {}, timeoutMs = 5000): Promise<void> =>
    assert.rejects(fetch(url, more, timeoutMs), (error) => error instanceof FetchError && message.test(error.message));

  test('documents come by http, by https and by redirects', async () => {
    assert.equal(await fetch(`${http}/keys`), '{"keys":[]}');
    assert.equal(await fetch(`${https}/keys`), '{"keys":[]}');
    assert.equal(await fetch(`${http}/hop`), '{"keys":[]}');
  });

  test('a server has to prove its name', async () => {
    await refused(`${https}/keys`, /self-signed/, { extraRoots: () => undefined });
    await refused(`${https.replace('idp.test', '127.0.0.3')}/keys`, /does not match/);
    assert.equal(await fetch(`${https}/keys`, { extraRoots: () => undefined, insecure: true }), '{"keys":[]}');
  });

  test('nothing is asked of forbidden addresses: not directly, not by name, not by redirect', async () => {
    const before = seen.length;
    await refused('http://127.0.0.1:1/keys', /^http:\/\/127\.0\.0\.1:1\/keys: nothing is fetched from this address/);
    await refused('http://2130706433/keys', /nothing is fetched from this address/);
    await refused('http://[::ffff:169.254.169.254]/', /nothing is fetched from this address/);
    await refused('http://inside.test/keys', /inside\.test is at 127\.0\.0\.1: nothing/);
    // Also where another address of the name would do: the next answer may have only the bad one.
    await refused('http://mixed.test/keys', /mixed\.test is at 169\.254\.169\.254/);
    assert.equal(seen.length, before);
    await refused(
      `${http}/metadata`,
      /redirected to http:\/\/169\.254\.169\.254\/latest\/: .*nothing is fetched from this address/,
    );
    await refused(`${http}/inside`, /inside\.test is at 127\.0\.0\.1: nothing/);
  });

  test('however an address is written, and wherever it is led to', async () => {
    const inside = createServer((_request, response) => response.end('secret'));
    await new Promise<void>((done) => inside.listen(0, '127.0.0.1', done));
    inside.unref();
    let asked = 0;
    inside.on('connection', () => asked++);
    const { port } = inside.address() as AddressInfo;
    const system = { resolve: lookup };
    for (const url of hostileUrls(port)) await refused(url, /nothing is fetched from this address/, system);
    for (const url of hostileUrls(port))
      await refused(`${http}/to?${encodeURIComponent(url)}`, /nothing is fetched from this address/, system);
    assert.equal(asked, 0);
    inside.close();
  });

  test('a name that leads elsewhere the second time is refused the second time', async () => {
    let times = 0;
    const turning = ((_host: string, options: LookupOptions, done: (...result: readonly unknown[]) => void) => {
      const address = times++ === 0 ? '127.0.0.3' : '127.0.0.1';
      if (options.all) done(null, [{ address, family: 4 }]);
      else done(null, address, 4);
    }) as unknown as NonNullable<FetchPolicy['resolve']>;
    const port = new URL(http).port;
    // One look-up for each connection: what it says is where the connection goes.
    assert.equal(await fetch(`http://turns.test:${port}/keys`, { resolve: turning }), '{"keys":[]}');
    assert.equal(times, 1);
    await refused(`http://turns.test:${port}/keys`, /turns\.test is at 127\.0\.0\.1: nothing/, { resolve: turning });
    times = 0;
    await refused(`http://turns.test:${port}/hop`, /turns\.test is at 127\.0\.0\.1: nothing/, { resolve: turning });
  });

  test('a host that the operator has named may be anywhere; its redirects may not', async () => {
    const strict = { ...policy, forbids: forbiddenAddresses('', ''), exempts: (host: string) => http.endsWith(host) };
    assert.equal(await fetchDocument(`${http}/keys`, 5000, strict), '{"keys":[]}');
    await assert.rejects(
      fetchDocument(`${http}/metadata`, 5000, strict),
      /169\.254\.169\.254.*nothing is fetched from this address \(the operator may allow it\)/,
    );
  });

  test('credentials stay with the host that they are for', async () => {
    const headers = { authorization: 'Bearer x', 'x-kept': 'y' };
    const seenBy = async (url: string): Promise<string> =>
      (await (await fetchFrom(url, { headers, timeoutMs: 5000 }, { ...policy, resolve })).body(1000)).toString();
    assert.equal(await seenBy(`${http}/headers`), 'Bearer x y');
    assert.equal(await seenBy(`${http}/to?${encodeURIComponent('/headers')}`), 'Bearer x y');
    const other = `http://idp.test:${new URL(http).port}/headers`;
    assert.equal(await seenBy(`${http}/to?${encodeURIComponent(other)}`), ' y');
  });

  test('a body that comes drop by drop ends with the time of the whole', async () => {
    await refused(`${http}/drops`, /no answer within 0\.3 s/, {}, 300);
  });

  test('size, time and redirects have limits', async () => {
    await refused(`${http}/large`, /more than 1048576 bytes/);
    await refused(`${http}/slow`, /no answer within 0\.2 s/, {}, 200);
    await refused(`${http}/loop`, /redirects more than 5 times/);
    await refused(`${https}/down`, /redirects from https to http:/);
    await refused(`${http}/nothing`, /status 404/);
    await refused('file:///etc/passwd', /neither https nor http/);
    await refused('http://user:secret@127.0.0.1/', /^http:\/\/127\.0\.0\.1\/: /);
  });
});
