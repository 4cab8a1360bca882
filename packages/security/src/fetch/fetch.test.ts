import assert from 'node:assert/strict';
import type { LookupAddress, LookupOptions } from 'node:dns';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { selfSigned } from '@istio-ts/xds/testing/certificate';
import { AddressRangeError, forbiddenAddresses } from './addresses.ts';
import { FetchError, fetchDocument, type FetchPolicy } from './fetch.ts';

describe('forbiddenAddresses', () => {
  const forbids = forbiddenAddresses('10.0.0.0/8, 2001:db8::/32', '10.1.0.0/16,127.0.0.2');

  test('addresses of the node, of its link and of metadata services are forbidden, however they are written', () => {
    for (const address of [
      '127.0.0.1',
      '127.255.0.1',
      '0.0.0.0',
      '169.254.169.254',
      '169.254.170.2',
      '100.100.100.200',
      '::1',
      '[::1]',
      '::',
      'fe80::1%eth0',
      'fd00:ec2::254',
      '::ffff:127.0.0.1',
      '::ffff:a9fe:a9fe',
      '64:ff9b::169.254.169.254',
      '64:ff9b::7f00:1',
      '2002:7f00:1::',
    ])
      assert.equal(forbids(address), true, address);
    for (const address of ['8.8.8.8', '192.168.1.1', '2606:4700::1', '64:ff9b::808:808'])
      assert.equal(forbids(address), false, address);
  });

  test('ranges can be added and taken out', () => {
    assert.equal(forbids('10.2.3.4'), true);
    assert.equal(forbids('10.1.3.4'), false);
    assert.equal(forbids('2001:db8::1'), true);
    assert.equal(forbids('127.0.0.2'), false);
  });

  test('what is no range is an error', () => {
    for (const wrong of ['10.0.0.0/33', 'example.com', '10.0.0.0/', '::/129', '10.0.0.0/a'])
      assert.throws(() => forbiddenAddresses(wrong, ''), AddressRangeError, wrong);
  });
});

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
  }) as unknown as NonNullable<Parameters<typeof fetchDocument>[3]>;
  const fetch = (url: string, more: Partial<FetchPolicy> = {}, timeoutMs = 5000): Promise<string> =>
    fetchDocument(url, timeoutMs, { ...policy, ...more }, resolve);
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
