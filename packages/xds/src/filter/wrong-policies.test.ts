import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { freePort } from '../testing/envoy.ts';
import { istioObject } from '../testing/objects.ts';
import { LoopbackNet } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { keySet, token, tokenKey } from '../testing/token.ts';
import { startWorkloads, type Workload, type Workloads } from '../testing/workloads-envoy.ts';

/** Policies that are wrong from their first version on, as they are when no webhook looks at them: they refuse at least what they were to refuse. */

type Spec = Readonly<Record<string, unknown>>;
const ADMIN = { to: [{ operation: { paths: ['/admin'] } }] };
const KNOWN = 'cluster.local/ns/shop/sa/caller';
const ISSUER = 'https://issuer.test';
const key = tokenKey('one');

const policy = (name: string, ...policies: readonly Spec[]): Workload => ({
  name,
  policies: policies as NonNullable<Workload['policies']>,
});
const about = (kind: string, name: string, spec: Spec, namespace = 'default'): Workload => ({
  name,
  namespace,
  objects: [istioObject(kind, { name, namespace }, { selector: { matchLabels: { app: name } }, ...spec })],
});

const net = new LoopbackNet();
let app: Origin;
let envoy: Workloads;

before(async () => {
  app = await startOrigin('app', '127.0.0.1', await freePort());
  envoy = await startWorkloads({
    net,
    app: app.port,
    expectsProblems: true,
    workloads: [
      { name: 'none' },
      policy('deny', {
        action: 'DENY',
        rules: [{ ...ADMIN, from: [{ source: { ipBlocks: ['nowhere', net.ip(3)] } }] }],
      }),
      policy('deny-but', {
        action: 'DENY',
        rules: [{ from: [{ source: { notPrincipals: ['spiffe://', ''], notNamespaces: ['shop'] } }] }],
      }),
      policy('deny-new', {
        action: 'DENY',
        rules: [{ to: [{ operation: { methods: ['POST'], queries: ['admin'] } }] }],
      }),
      policy('deny-all', { action: 'DENY', rules: ['everybody'] }),
      policy('allow', { rules: [{ from: [{ source: { namespaces: ['shop'], ipBlocks: ['nowhere'] } }] }] }),
      policy('allow-new', { rules: [{ to: [{ operation: { methods: ['GET'], queries: ['public'] } }] }] }),
      policy('action', { action: 'Deny', rules: [ADMIN] }),
      policy('custom', { action: 'CUSTOM', rules: [ADMIN] }),
      policy('audit', { action: 'AUDIT', rules: [{ when: [{ key: 'nobody.knows', values: ['x'] }] }] }),
      about('PeerAuthentication', 'mode', { mtls: { mode: 'strict' } }),
      about('PeerAuthentication', 'port', {
        mtls: { mode: 'PERMISSIVE' },
        portLevelMtls: { http: { mode: 'STRICT' } },
      }),
      about('PeerAuthentication', 'open-port', {
        mtls: { mode: 'PERMISSIVE' },
        portLevelMtls: { http: { mode: 'DISABLE' } },
      }),
      about('RequestAuthentication', 'keys', {
        jwtRules: [
          {
            issuer: ISSUER,
            jwks: 'nonsense',
            forwardOriginalToken: true,
            outputClaimToHeaders: [{ header: 'x-sub', claim: 'sub' }],
          },
        ],
      }),
      about('RequestAuthentication', 'new', {
        jwtRules: [{ issuer: ISSUER, jwks: keySet(key), requiredClaims: ['admin'] }],
      }),
      { name: 'neighbour', namespace: 'closed' },
      {
        ...about(
          'AuthorizationPolicy',
          'closed',
          { selector: { matchLabels: { app: 'cl*' } }, action: 'DENY', rules: [ADMIN] },
          'closed',
        ),
      },
    ],
  });
});
after(async () => {
  await envoy?.stop();
  await app?.close();
});

const statuses = async (name: string, calls: Readonly<Record<string, Parameters<Workloads['ask']>[1]>>) =>
  Object.fromEntries(
    await Promise.all(Object.entries(calls).map(async ([what, sent]) => [what, (await envoy.ask(name, sent)).status])),
  ) as unknown;

test('DENY: what is wrong is taken to match everything, the rest holds', async () => {
  const paths = { admin: { path: '/admin' }, other: { path: '/' } };
  assert.deepEqual(await statuses('none', paths), { admin: 200, other: 200 });
  assert.deepEqual(await statuses('deny', paths), { admin: 403, other: 200 });
  assert.deepEqual(await statuses('deny-but', { known: { as: KNOWN }, unknown: {} }), { known: 200, unknown: 403 });
  assert.deepEqual(await statuses('deny-new', { get: {}, post: { method: 'POST' } }), { get: 200, post: 403 });
  assert.deepEqual(await statuses('deny-all', paths), { admin: 403, other: 403 });
});

test('ALLOW, and an action that nobody knows: nothing is allowed', async () => {
  for (const name of ['allow', 'allow-new', 'action'])
    assert.deepEqual(await statuses(name, { known: { as: KNOWN }, unknown: {} }), { known: 403, unknown: 403 });
});

test('CUSTOM without a provider refuses what it covers; AUDIT refuses nothing', async () => {
  assert.deepEqual(await statuses('custom', { admin: { path: '/admin' }, other: {} }), { admin: 403, other: 200 });
  assert.deepEqual(await statuses('audit', { any: {} }), { any: 200 });
});

test('a policy with a wrong selector is for its whole namespace, and for no other', async () => {
  for (const name of ['closed', 'neighbour'])
    assert.deepEqual(await statuses(name, { admin: { path: '/admin' }, other: {} }), { admin: 403, other: 200 });
});

test('PeerAuthentication: where STRICT may have been meant, there is no plain text', async () => {
  for (const name of ['mode', 'port']) {
    await assert.rejects(envoy.ask(name), /hang up|ECONNRESET/, name);
    assert.equal((await envoy.ask(name, { as: KNOWN })).status, 200);
  }
  assert.equal((await envoy.ask('open-port')).status, 200);
});

test('RequestAuthentication: tokens are refused, and nobody else writes the headers of their claims', async () => {
  const headers = { authorization: `Bearer ${token(key, { iss: ISSUER, sub: 'alice' })}` };
  for (const name of ['keys', 'new'])
    assert.deepEqual(await statuses(name, { token: { headers }, none: {} }), { token: 401, none: 200 });
  const { text } = await envoy.ask('keys', { headers: { 'x-sub': 'root' } });
  assert.equal(
    (JSON.parse(text) as { readonly headers: Readonly<Record<string, string>> }).headers['x-sub'],
    undefined,
  );
});
