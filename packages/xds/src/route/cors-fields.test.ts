import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '../field-proof.ts';
import type { Answer } from '../testing/http-call.ts';
import { clientOf, v1, virtualService } from './http-fields.test-support.ts';

/** CORS policies of a VirtualService, from the object to what a client sees, through one real Envoy. */

const { get } = clientOf([
  virtualService('cors', {
    hosts: ['cors'],
    http: [
      {
        match: [{ uri: { prefix: '/closed' } }],
        corsPolicy: { allowOrigins: [{ exact: 'https://a.example' }], unmatchedPreflights: 'IGNORE' },
        route: v1,
      },
      { match: [{ uri: { prefix: '/old' } }], corsPolicy: { allowOrigin: ['https://old.example'] }, route: v1 },
      { match: [{ uri: { prefix: '/any' } }], corsPolicy: { allowOrigin: ['*'] }, route: v1 },
      {
        corsPolicy: {
          allowOrigins: [{ exact: 'https://a.example' }, { prefix: 'https://b.' }, { regex: 'https://c\\d\\.example' }],
          allowMethods: ['GET', 'PUT'],
          allowHeaders: ['x-a', 'x-b'],
          exposeHeaders: ['x-origin'],
          maxAge: '2h',
          allowCredentials: true,
        },
        route: v1,
      },
    ],
  }),
]);

test('CORS', async () => {
  proves(
    'VirtualService.spec.http[].corsPolicy.allowOrigins[].exact',
    'VirtualService.spec.http[].corsPolicy.allowOrigins[].prefix',
    'VirtualService.spec.http[].corsPolicy.allowOrigins[].regex',
    'VirtualService.spec.http[].corsPolicy.allowOrigin',
    'VirtualService.spec.http[].corsPolicy.allowMethods',
    'VirtualService.spec.http[].corsPolicy.allowHeaders',
    'VirtualService.spec.http[].corsPolicy.exposeHeaders',
    'VirtualService.spec.http[].corsPolicy.maxAge',
    'VirtualService.spec.http[].corsPolicy.allowCredentials',
    'VirtualService.spec.http[].corsPolicy.unmatchedPreflights',
  );
  const preflight = (origin: string, path = '/'): Promise<Answer> =>
    get(path, 'cors', { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'PUT' } });
  for (const origin of ['https://a.example', 'https://b.any', 'https://c7.example']) {
    const { seen, headers } = await preflight(origin);
    assert.equal(seen, undefined, 'answered by the proxy');
    assert.equal(headers['access-control-allow-origin'], origin);
    assert.equal(headers['access-control-allow-methods'], 'GET,PUT');
    assert.equal(headers['access-control-allow-headers'], 'x-a,x-b');
    assert.equal(headers['access-control-max-age'], '7200');
    assert.equal(headers['access-control-allow-credentials'], 'true');
  }
  const simple = await get('/', 'cors', { headers: { origin: 'https://a.example' } });
  assert.equal(simple.headers['access-control-expose-headers'], 'x-origin');
  assert.equal((await preflight('https://evil.example')).seen?.method, 'OPTIONS', 'forwarded');
  assert.equal((await preflight('https://evil.example', '/closed')).seen, undefined, 'not forwarded');
  for (const [path, origin, allowed] of [
    ['/old', 'https://old.example', true],
    ['/old', 'https://old.example.evil', false],
    ['/any', 'https://whoever.example', true],
  ] as const) {
    const { headers } = await preflight(origin, path);
    assert.equal(headers['access-control-allow-origin'], allowed ? origin : undefined, `${path} ${origin}`);
  }
});
