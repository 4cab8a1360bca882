import assert from 'node:assert/strict';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { freePort } from '../testing/envoy.ts';
import { istioObject } from '../testing/objects.ts';
import { LoopbackNet } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { startWorkloads, type Workload, type Workloads } from '../testing/workloads-envoy.ts';

/** Policies about tokens that RequestAuthentication has checked. */

const net = new LoopbackNet();
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwks = JSON.stringify({ keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid: 'k' }] });

type Spec = Readonly<Record<string, unknown>>;
const from = (source: Spec): Spec => ({ rules: [{ from: [{ source }] }] });
const when = (key: string, rest: Spec): Spec => ({ rules: [{ when: [{ key, ...rest }] }] });
const claim = (name: string, ...values: readonly string[]): Spec => when(`request.auth.claims${name}`, { values });

const policies: Readonly<Record<string, Spec>> = {
  exact: from({ requestPrincipals: ['https://idp.example/alice'] }),
  'any-subject': from({ requestPrincipals: ['https://idp.example/*'] }),
  'any-issuer': from({ requestPrincipals: ['*/alice'] }),
  anyone: from({ requestPrincipals: ['*'] }),
  'anyone-but': from({ notRequestPrincipals: ['https://idp.example/alice'] }),
  'nobody-without': { action: 'DENY', ...from({ notRequestPrincipals: ['*'] }) },
  principal: when('request.auth.principal', { values: ['https://idp.example/alice'] }),
  audience: when('request.auth.audiences', { values: ['shop', 'app-*'] }),
  'not-audience': when('request.auth.audiences', { notValues: ['shop'] }),
  presenter: when('request.auth.presenter', { values: ['client-1'] }),
  group: claim('[groups]', 'admins', 'team-*', '*-leads'),
  'any-group': claim('[groups]', '*'),
  nested: claim('[realm][roles]', 'editor'),
  'with-dots': claim('[example.com/role]', 'editor'),
  scope: claim('[scope]', 'write'),
  'not-group': when('request.auth.claims[groups]', { notValues: ['banned'] }),
  unchecked: from({ requestPrincipals: ['*'] }),
};

const workloads = Object.entries(policies).map(
  ([name, policy]): Workload => ({
    name,
    policies: [policy],
    objects:
      name === 'unchecked'
        ? []
        : [
            istioObject(
              'RequestAuthentication',
              { name },
              { selector: { matchLabels: { app: name } }, jwtRules: [{ issuer: 'https://idp.example', jwks }] },
            ),
          ],
  }),
);

let app: Origin;
let envoy: Workloads;

before(async () => {
  app = await startOrigin('app', '127.0.0.1', await freePort());
  envoy = await startWorkloads({ net, app: app.port, workloads });
});

after(async () => {
  await envoy?.stop();
  await app?.close();
});

function token(claims: object, key = keys.privateKey): string {
  const text = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = { iss: 'https://idp.example', sub: 'alice', exp: 4_000_000_000, ...claims };
  const signed = `${text({ alg: 'RS256', kid: 'k' })}.${text(body)}`;
  return `${signed}.${createSign('RSA-SHA256').update(signed).sign(key, 'base64url')}`;
}
async function status(name: string, claims?: object): Promise<number> {
  const headers: Readonly<Record<string, string>> =
    claims === undefined ? {} : { authorization: `Bearer ${token(claims)}` };
  return (await envoy.ask(name, { headers })).status;
}
const statuses = (name: string, ...tokens: readonly (object | undefined)[]): Promise<readonly number[]> =>
  Promise.all(tokens.map((claims) => status(name, claims)));

test('issuer and subject', async () => {
  proves(
    'AuthorizationPolicy.spec.rules[].when[].key=request.auth.principal',
    'AuthorizationPolicy.spec.rules[].from[].source.requestPrincipals[]',
    'AuthorizationPolicy.spec.rules[].from[].source.notRequestPrincipals[]',
  );
  const bob = { sub: 'bob' };
  assert.deepEqual(await statuses('exact', {}, bob, undefined), [200, 403, 403]);
  assert.deepEqual(await statuses('any-subject', {}, bob, undefined), [200, 200, 403]);
  assert.deepEqual(await statuses('any-issuer', {}, bob, { sub: 'malice' }, undefined), [200, 403, 403, 403]);
  assert.deepEqual(await statuses('anyone', {}, bob, undefined), [200, 200, 403]);
  assert.deepEqual(await statuses('anyone-but', {}, bob, undefined), [403, 200, 200]);
  assert.deepEqual(await statuses('nobody-without', {}, bob, undefined), [200, 200, 403]);
  assert.deepEqual(await statuses('principal', {}, bob, undefined), [200, 403, 403]);
  // A forged token gets no further than its check, and one that nobody checks says nothing.
  const forged = { authorization: `Bearer ${token({}, stranger.privateKey)}` };
  assert.equal((await envoy.ask('nobody-without', { headers: forged })).status, 401);
  assert.equal(await status('unchecked', {}), 403);
});

test('audiences, presenter and claims: text, lists, in other claims', async () => {
  proves(
    'AuthorizationPolicy.spec.rules[].when[].key',
    'AuthorizationPolicy.spec.rules[].when[].key=request.auth.audiences',
    'AuthorizationPolicy.spec.rules[].when[].key=request.auth.presenter',
    'AuthorizationPolicy.spec.rules[].when[].key=request.auth.claims',
  );
  assert.deepEqual(
    await statuses('audience', { aud: 'shop' }, { aud: ['x', 'app-7'] }, { aud: 'shopping' }, {}, undefined),
    [200, 200, 403, 403, 403],
  );
  assert.deepEqual(await statuses('not-audience', { aud: ['x', 'shop'] }, { aud: 'x' }, {}), [403, 200, 200]);
  assert.deepEqual(await statuses('presenter', { azp: 'client-1' }, { azp: 'client-2' }, {}), [200, 403, 403]);
  assert.deepEqual(
    await statuses(
      'group',
      { groups: ['a', 'admins'] },
      { groups: 'team-1' },
      { groups: ['sub-leads'] },
      { groups: ['b'] },
    ),
    [200, 200, 200, 403],
  );
  assert.deepEqual(
    await statuses('any-group', { groups: ['x'] }, { groups: '' }, { groups: [] }, {}),
    [200, 403, 403, 403],
  );
  assert.deepEqual(
    await statuses('nested', { realm: { roles: ['editor'] } }, { realm: { roles: ['reader'] } }, { realm: 'editor' }),
    [200, 403, 403],
  );
  assert.deepEqual(await statuses('with-dots', { 'example.com/role': 'editor' }, { example: 'editor' }), [200, 403]);
  assert.deepEqual(await statuses('scope', { scope: 'read write' }, { scope: 'read' }), [200, 403]);
  assert.deepEqual(
    await statuses('not-group', { groups: ['x', 'banned'] }, { groups: ['x'] }, undefined),
    [403, 200, 200],
  );
});
