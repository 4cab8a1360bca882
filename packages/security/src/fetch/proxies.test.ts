import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxySettingError, proxiesOf } from './proxies.ts';

const chosen = (environment: Readonly<Record<string, string>>, url: string): string | undefined =>
  proxiesOf(environment)(new URL(url))?.href;

test('each kind of URL has a proxy of its own, whose names are known in small letters, too', () => {
  const both = { HTTP_PROXY: 'one:3128', https_proxy: 'https://two' };
  assert.equal(chosen(both, 'http://a.example/'), 'http://one:3128/');
  assert.equal(chosen(both, 'https://a.example/'), 'https://two/');
  assert.equal(chosen({ HTTP_PROXY: 'one' }, 'https://a.example/'), undefined);
  assert.equal(chosen({}, 'https://a.example/'), undefined);
});

test('loopback is never asked through a proxy', () => {
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '[::1]', '2130706433'])
    assert.equal(chosen({ HTTP_PROXY: 'one' }, `http://${host}/`), undefined, host);
});

test('exceptions', () => {
  const direct = (exceptions: string, url: string): boolean =>
    chosen({ HTTPS_PROXY: 'one', NO_PROXY: exceptions }, url) === undefined;
  for (const [exceptions, url, expected] of [
    ['a.example', 'https://a.example/', true],
    ['a.example', 'https://A.example./', true],
    ['a.example', 'https://x.a.example/', true],
    ['a.example', 'https://xa.example/', false],
    ['.a.example', 'https://x.a.example/', true],
    ['.a.example', 'https://a.example/', false],
    ['*.a.example', 'https://x.a.example/', true],
    ['b, .svc ,c', 'https://keys.auth.svc/', true],
    ['a.example:8443', 'https://a.example:8443/', true],
    ['a.example:443', 'https://a.example/', true],
    ['a.example:8443', 'https://a.example/', false],
    ['10.0.0.0/8', 'https://10.1.2.3/', true],
    ['10.0.0.0/8', 'https://11.1.2.3/', false],
    ['10.0.0.0/8', 'https://ten.example/', false],
    ['fd00::/8', 'https://[fd00::1]/', true],
    ['10.1.2.3', 'https://10.1.2.3/', true],
    ['10.1.2.3:443', 'https://10.1.2.3/', true],
    ['[fd00::1]:443', 'https://[fd00::1]/', true],
    ['fd00::1', 'https://[fd00::1]/', true],
    ['*', 'https://a.example/', true],
    ['10.0.0.0/99', 'https://10.1.2.3/', false],
  ] as const)
    assert.equal(direct(exceptions, url), expected, `${exceptions} and ${url}`);
});

test('what is no proxy is an error', () => {
  assert.throws(() => proxiesOf({ HTTP_PROXY: 'socks5://a' }), /HTTP_PROXY: proxies speak http or https, not socks5/);
  assert.throws(() => proxiesOf({ HTTPS_PROXY: 'http://' }), ProxySettingError);
});
