import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { verifiesNothing } from '@istio-ts/mesh';
import { generateOffline, typeUrls } from '../engine/index.ts';
import { proves } from '../field-proof.ts';
import { freePort } from '../testing/envoy.ts';
import { istioObject, podObject, serviceObject } from '../testing/objects.ts';
import { LoopbackNet } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { base64url, keySet, sharedSecretToken, token, tokenKey, unsignedToken } from '../testing/token.ts';
import { startWorkloads, type Workload, type Workloads } from '../testing/workloads-envoy.ts';

/** Tokens as clients of a real Envoy send them: which are accepted, what becomes of them, and what policies know of them. */

const ISSUER = 'https://issuer.test';
const OTHER = 'other@issuer.test';
const rsa = tokenKey('rsa');
const newer = tokenKey('newer');
const ec = tokenKey('ec', 'ES256');
const p384 = tokenKey('p384', 'ES384');
const pss = tokenKey('pss', 'PS256');
const edwards = tokenKey('edwards', 'EdDSA');
const foreign = tokenKey('foreign');
const stranger = tokenKey('stranger');

type Spec = Readonly<Record<string, unknown>>;
const rule = (more: Spec = {}): Spec => ({ issuer: ISSUER, jwks: keySet(rsa), ...more });
const other = (more: Spec = {}): Spec => ({ issuer: OTHER, jwks: keySet(foreign), ...more });

const request = (name: string, jwtRules: readonly Spec[], more: Spec = {}, namespace = 'default', suffix = '') =>
  istioObject(
    'RequestAuthentication',
    { name: `${name}${suffix}`, namespace },
    { selector: { matchLabels: { app: name } }, jwtRules, ...more },
  );

const workload = (name: string, jwtRules: readonly Spec[], ...policies: readonly Spec[]): Workload => ({
  name,
  objects: [request(name, jwtRules)],
  ...(policies.length > 0 && { policies: policies as NonNullable<Workload['policies']> }),
});

const when = (key: string, rest: Spec): Spec => ({ rules: [{ when: [{ key, ...rest }] }] });
const from = (source: Spec): Spec => ({ rules: [{ from: [{ source }] }] });

const workloads: readonly Workload[] = [
  workload('plain', [rule({ jwks: keySet(rsa, newer) })]),
  workload('audiences', [rule({ audiences: ['shop', 'https://shop.test/'] })]),
  workload('algorithms', [rule({ jwks: keySet(ec, p384, pss, edwards) })]),
  workload('headers', [rule({ fromHeaders: [{ name: 'X-Token' }, { name: 'x-prefixed', prefix: 'Token ' }] })]),
  workload('params', [rule({ fromParams: ['jwt'] })]),
  workload('cookies', [rule({ fromCookies: ['session'] })]),
  workload('forwarded', [rule({ forwardOriginalToken: true, outputPayloadToHeader: 'x-payload' })]),
  workload('claims', [
    rule({
      outputClaimToHeaders: [
        { header: 'x-sub', claim: 'sub' },
        { header: 'x-tier', claim: 'account.tier' },
      ],
    }),
  ]),
  workload('two', [rule({ forwardOriginalToken: true }), other()]),
  workload('two-places', [rule(), other({ fromHeaders: [{ name: 'x-other' }], forwardOriginalToken: true })]),
  workload('rotated', [rule(), rule({ jwks: keySet(newer) })]),
  // Nobody has fetched the keys.
  workload('unfetched', [{ issuer: ISSUER, jwksUri: 'https://issuer.test/keys' }]),
  workload('undiscovered', [{ issuer: ISSUER }]),
  workload('no-rules', []),
  { name: 'elsewhere' },
  {
    ...workload('merged', [rule()]),
    objects: [request('merged', [rule()]), request('merged', [other()], {}, 'istio-system', '-root')],
  },
  workload('principals', [rule()], from({ requestPrincipals: [`${ISSUER}/alice`, `*/root`] })),
  workload('any-principal', [rule()], from({ requestPrincipals: ['*'] })),
  workload('not-principals', [rule()], { action: 'DENY', ...from({ notRequestPrincipals: ['*'] }) }),
  workload('auth-principal', [rule()], when('request.auth.principal', { values: [`${ISSUER}/alice`] })),
  workload('auth-audiences', [rule()], when('request.auth.audiences', { values: ['shop'] })),
  workload('auth-presenter', [rule()], when('request.auth.presenter', { values: ['app-1'] })),
  workload('auth-claim', [rule()], when('request.auth.claims[groups]', { values: ['admins'] })),
  workload('auth-nested', [rule()], when('request.auth.claims[account][tier]', { values: ['gold'] })),
  workload('auth-scope', [rule()], when('request.auth.claims[scope]', { values: ['write'] })),
  workload(
    'auth-spaces',
    [rule({ spaceDelimitedClaims: ['roles'] })],
    when('request.auth.claims[roles]', { values: ['auditor'] }),
  ),
];

const ROOT = istioObject(
  'RequestAuthentication',
  { name: 'mesh', namespace: 'istio-system' },
  { jwtRules: [other({ fromHeaders: [{ name: 'x-mesh' }] })] },
);
const NAMESPACE = istioObject(
  'RequestAuthentication',
  { name: 'namespace', namespace: 'default' },
  { jwtRules: [other({ fromHeaders: [{ name: 'x-namespace' }] })] },
);

const net = new LoopbackNet();
let app: Origin;
let envoy: Workloads;

before(async () => {
  const port = await freePort();
  app = await startOrigin('app', '127.0.0.1', port);
  envoy = await startWorkloads({ net, workloads, app: port, objects: [ROOT, NAMESPACE] });
});
after(async () => {
  await envoy?.stop();
  await app?.close();
});

const bearer = (text: string): Readonly<Record<string, string>> => ({ authorization: `Bearer ${text}` });
const good = (claims: Spec = {}, key = rsa): string => token(key, { iss: ISSUER, sub: 'alice', ...claims });
const foreignGood = (claims: Spec = {}): string => token(foreign, { iss: OTHER, sub: 'bob', ...claims });

async function answer(name: string, headers: Readonly<Record<string, string>> = {}, path = '/'): Promise<string> {
  const { status, text } = await envoy.ask(name, { headers, path });
  return status === 200 ? 'ok' : `${status} ${text}`;
}
async function seen(name: string, headers: Readonly<Record<string, string>>, path = '/') {
  const { status, text } = await envoy.ask(name, { headers, path });
  assert.equal(status, 200, text);
  return JSON.parse(text) as { readonly path: string; readonly headers: Readonly<Record<string, string>> };
}

test('a request without a token passes, one with a good token too, and a wrong token is refused with what is wrong', async () => {
  proves('RequestAuthentication.spec.jwtRules[].issuer', 'RequestAuthentication.spec.jwtRules[].jwks');
  const now = Math.floor(Date.now() / 1000);
  const cases: readonly (readonly [string, Readonly<Record<string, string>>, string | RegExp])[] = [
    ['no token', {}, 'ok'],
    ['other credentials', { authorization: 'Basic abc' }, 'ok'],
    ['good', bearer(good()), 'ok'],
    ['second key of the set', bearer(good({}, newer)), 'ok'],
    ['expired', bearer(good({ exp: now - 3600 })), '401 Jwt is expired'],
    ['not yet valid', bearer(good({ nbf: now + 3600 })), '401 Jwt not yet valid'],
    ['wrong issuer', bearer(good({ iss: 'https://evil.test' })), '401 Jwt issuer is not configured'],
    ['no issuer', bearer(token(rsa, { sub: 'alice' })), '401 Jwt issuer is not configured'],
    ['forged', bearer(token(stranger, { iss: ISSUER }, { kid: 'rsa' })), '401 Jwt verification fails'],
    [
      'unknown key',
      bearer(good({}, stranger)),
      /^401 Jwks doesn't have key to match kid or alg from Jwt|^401 Jwt verification fails/,
    ],
    [
      'changed claims',
      bearer(good().replace(/\.[^.]+\./, `.${base64url({ iss: ISSUER, sub: 'root', exp: now + 60 })}.`)),
      '401 Jwt verification fails',
    ],
    ['not signed', bearer(unsignedToken({ iss: ISSUER })), /^401 Jwt/],
    ['signed with the public key as secret', bearer(sharedSecretToken(keySet(rsa), { iss: ISSUER }, 'rsa')), /^401 Jw/],
    ['signed with nothing', bearer(sharedSecretToken('', { iss: ISSUER }, 'rsa')), /^401 Jw/],
    ['no token at all', bearer('nonsense'), /^401 Jwt is not in the form of Header.Payload.Signature/],
  ];
  for (const [name, headers, expected] of cases) {
    const result = await answer('plain', headers);
    if (typeof expected === 'string') assert.equal(result, expected, name);
    else assert.match(result, expected, name);
  }
});

test('an oversized token is refused and never reaches the application', async () => {
  const before = app.arrivals.length;
  assert.match(await answer('plain', bearer(good({ junk: 'x'.repeat(100_000) }))), /^431/);
  assert.equal(app.arrivals.length, before);
});

test('a preflight of a browser passes whatever it carries', async () => {
  const { status } = await envoy.ask('plain', {
    method: 'OPTIONS',
    headers: { origin: 'https://page.test', 'access-control-request-method': 'GET', ...bearer('nonsense') },
  });
  assert.equal(status, 200);
});

test('audiences', async () => {
  proves('RequestAuthentication.spec.jwtRules[].audiences[]');
  assert.equal(await answer('audiences', bearer(good({ aud: 'shop' }))), 'ok');
  assert.equal(await answer('audiences', bearer(good({ aud: ['x', 'shop'] }))), 'ok');
  assert.equal(await answer('audiences', bearer(good({ aud: 'http://shop.test' }))), 'ok');
  assert.equal(await answer('audiences', bearer(good({ aud: 'shops' }))), '403 Audiences in Jwt are not allowed');
  assert.equal(await answer('audiences', bearer(good())), '403 Audiences in Jwt are not allowed');
  assert.equal(await answer('plain', bearer(good({ aud: 'anybody' }))), 'ok');
});

test('keys of elliptic curves, RSA with PSS and Ed25519', async () => {
  for (const key of [ec, p384, pss, edwards]) {
    assert.equal(await answer('algorithms', bearer(good({}, key))), 'ok', key.kid);
    assert.match(await answer('algorithms', bearer(`${good({}, key).slice(0, -8)}AAAAAAAA`)), /^401/, key.kid);
  }
});

test('the token comes from headers with or without a prefix, from query parameters and from cookies', async () => {
  proves(
    'RequestAuthentication.spec.jwtRules[].fromHeaders[].name',
    'RequestAuthentication.spec.jwtRules[].fromHeaders[].prefix',
    'RequestAuthentication.spec.jwtRules[].fromParams[]',
    'RequestAuthentication.spec.jwtRules[].fromCookies[]',
  );
  const bad = token(stranger, { iss: ISSUER }, { kid: 'rsa' });
  const fails = '401 Jwt verification fails';
  assert.equal(await answer('headers', { 'x-token': good() }), 'ok');
  assert.equal(await answer('headers', { 'x-token': bad }), fails);
  assert.equal(await answer('headers', { 'x-prefixed': `Token ${good()}` }), 'ok');
  assert.equal(await answer('headers', { 'x-prefixed': `Token ${bad}` }), fails);
  // Two tokens at places of one rule must both be good.
  assert.equal(await answer('headers', { 'x-token': good(), 'x-prefixed': `Token ${bad}` }), fails);
  // Where no rule looks there is no token.
  assert.equal(await answer('headers', bearer(bad)), 'ok');
  assert.equal(await answer('params', {}, `/?jwt=${good()}`), 'ok');
  assert.equal(await answer('params', {}, `/?jwt=${bad}`), fails);
  assert.equal(await answer('params', {}, `/?access_token=${bad}`), 'ok');
  assert.equal(await answer('cookies', { cookie: `a=b; session=${good()}` }), 'ok');
  assert.equal(await answer('cookies', { cookie: `session=${bad}; a=b` }), fails);
  // By default in both of these.
  assert.equal(await answer('plain', {}, `/?access_token=${good()}`), 'ok');
  assert.equal(await answer('plain', bearer(good()), `/?access_token=${bad}`), fails);
});

test('the token is taken out unless it is to go on; payload and claims go on in headers that clients cannot set', async () => {
  proves(
    'RequestAuthentication.spec.jwtRules[].forwardOriginalToken',
    'RequestAuthentication.spec.jwtRules[].outputPayloadToHeader',
    'RequestAuthentication.spec.jwtRules[].outputClaimToHeaders[].header',
    'RequestAuthentication.spec.jwtRules[].outputClaimToHeaders[].claim',
  );
  assert.equal((await seen('plain', bearer(good()))).headers.authorization, undefined);
  assert.equal((await seen('plain', {}, `/a?access_token=${good()}&b=1`)).path, '/a?b=1');
  const forwarded = await seen('forwarded', bearer(good({ role: 'x' })));
  assert.match(forwarded.headers.authorization ?? '', /^Bearer ey/);
  const payload = JSON.parse(Buffer.from(forwarded.headers['x-payload'] ?? '', 'base64url').toString());
  assert.equal(payload.role, 'x');
  assert.equal((await seen('forwarded', { 'x-payload': 'evil' })).headers['x-payload'], undefined);
  const claims = await seen('claims', { ...bearer(good({ account: { tier: 'gold' } })), 'x-tier': 'evil' });
  assert.deepEqual([claims.headers['x-sub'], claims.headers['x-tier']], ['alice', 'gold']);
  const none = await seen('claims', { 'x-sub': 'evil', 'x-tier': 'evil' });
  assert.deepEqual([none.headers['x-sub'], none.headers['x-tier']], [undefined, undefined]);
});

test('several issuers: a good token of any; none in the company of a forged one', async () => {
  const forged = token(stranger, { iss: OTHER }, { kid: 'foreign' });
  assert.equal(await answer('two', bearer(good())), 'ok');
  assert.equal(await answer('two', bearer(foreignGood())), 'ok');
  assert.match(await answer('two', bearer(forged)), /^401 Jwt/);
  assert.equal(await answer('two', bearer(good({ iss: 'https://evil.test' }))), '401 Jwt issuer is not configured');
  // The token of one issuer signed by the other.
  assert.match(await answer('two', bearer(token(foreign, { iss: ISSUER }))), /^401 Jw/);
  assert.equal(await answer('two-places', { ...bearer(good()), 'x-other': foreignGood() }), 'ok');
  assert.match(await answer('two-places', { ...bearer(good()), 'x-other': forged }), /^401 Jwt/);
  assert.match(await answer('two-places', { ...bearer(good({ exp: 1 })), 'x-other': foreignGood() }), /^401 Jwt/);
  assert.equal(await answer('rotated', bearer(good())), 'ok');
  assert.equal(await answer('rotated', bearer(good({}, newer))), 'ok');
  assert.match(await answer('rotated', bearer(good({}, stranger))), /^401 Jw/);
});

test('without keys every token is refused and everything else passes', async () => {
  proves('RequestAuthentication.spec.jwtRules[].jwksUri');
  for (const name of ['unfetched', 'undiscovered']) {
    assert.equal(await answer(name), 'ok');
    for (const wrong of [good(), good({}, stranger), unsignedToken({ iss: ISSUER }), good({}, { ...ec, kid: 'none' })])
      assert.match(await answer(name, bearer(wrong)), /^401 Jw/);
  }
});

test('policies of the mesh, of the namespace and of the workload count as one', async () => {
  proves('RequestAuthentication.spec.selector.matchLabels', 'RequestAuthentication.spec.jwtRules[]');
  const forged = token(stranger, { iss: OTHER }, { kid: 'foreign' });
  for (const name of ['plain', 'elsewhere', 'no-rules'])
    for (const header of ['x-mesh', 'x-namespace']) {
      assert.equal(await answer(name, { [header]: foreignGood() }), 'ok');
      assert.match(await answer(name, { [header]: forged }), /^401 Jw/);
    }
  // Policies with a selector are for the workloads that it selects only, also those of the root namespace.
  assert.equal(await answer('elsewhere', bearer('nonsense')), 'ok');
  assert.equal(await answer('merged', bearer(good())), 'ok');
  assert.equal(await answer('merged', bearer(foreignGood())), 'ok');
  assert.match(await answer('plain', bearer(foreignGood())), /^401 Jwt issuer is not configured/);
});

test('AuthorizationPolicies know who asks, by which token and for what', async () => {
  proves(
    'AuthorizationPolicy.spec.rules[].from[].source.requestPrincipals[]',
    'AuthorizationPolicy.spec.rules[].from[].source.notRequestPrincipals[]',
    'RequestAuthentication.spec.jwtRules[].spaceDelimitedClaims[]',
  );
  const cases: readonly (readonly [string, Spec, Spec])[] = [
    ['principals', {}, { sub: 'eve' }],
    ['auth-principal', {}, { sub: 'eve' }],
    ['auth-audiences', { aud: ['cart', 'shop'] }, { aud: 'shops' }],
    ['auth-presenter', { azp: 'app-1' }, { azp: 'app-2' }],
    ['auth-claim', { groups: ['users', 'admins'] }, { groups: ['users'] }],
    ['auth-claim', { groups: 'admins' }, { groups: { admins: true } }],
    ['auth-nested', { account: { tier: 'gold' } }, { 'account.tier': 'gold' }],
    ['auth-scope', { scope: 'read write' }, { scope: 'read-write' }],
    ['auth-spaces', { roles: 'user auditor' }, { roles: 'user' }],
  ];
  for (const [name, allowed, refused] of cases) {
    assert.equal(await answer(name, bearer(good(allowed))), 'ok', `${name} ${JSON.stringify(allowed)}`);
    const forbidden = '403 RBAC: access denied';
    assert.equal(await answer(name, bearer(good(refused))), forbidden, `${name} ${JSON.stringify(refused)}`);
    assert.equal(await answer(name), forbidden, `${name} without a token`);
  }
  for (const name of ['any-principal', 'not-principals']) {
    assert.equal(await answer(name, bearer(good())), 'ok');
    assert.equal(await answer(name), '403 RBAC: access denied');
  }
});

test('a rule whose keys cannot be used is told as a problem, and proxies get a key set that they can load', () => {
  const weak = { kty: 'RSA', n: 'AQAB', e: 'AQAB' };
  const { resources, problems } = generateOffline(
    [
      podObject({ name: 'web-0', labels: { app: 'web' }, ip: '10.244.0.1' }),
      serviceObject({ name: 'web' }, [{ name: 'http', port: 80, targetPort: 8080 }]),
      request('web', [rule(), other({ jwks: JSON.stringify({ keys: [weak, { kty: 'EC', crv: 'P-256' }] }) })]),
    ],
    { name: 'web-0', namespace: 'default' },
  );
  assert.deepEqual(
    problems.map(({ path, onlyPart }) => ({ path, onlyPart })),
    [{ path: 'spec.jwtRules[1].jwks', onlyPart: true }],
  );
  assert.match(
    problems[0]?.message ?? '',
    /all tokens of other@issuer\.test are refused: none of its keys can be used/,
  );
  const listeners = JSON.stringify(resources.get(typeUrls.listener)?.map((one) => one.json()));
  assert.ok(listeners.includes(JSON.stringify(JSON.stringify(JSON.parse(verifiesNothing()))).slice(1, -1)));
});
