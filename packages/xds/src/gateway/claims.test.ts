import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { type HttpReply, httpGet } from '../testing/http-client.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import { LoopbackNet, type OfflineEnvoy, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { keySet, token, tokenKey } from '../testing/token.ts';

/** Tokens at gateways: routes by claims, and policies for the gateway that they name. */

const ISSUER = 'https://issuer.test';
const key = tokenKey('one');
const net = new LoopbackNet();

const answers = (string: string) => ({ directResponse: { status: 200, body: { string } } });
const when = (name: string, value: object, field = 'headers') => ({ match: [{ [field]: { [name]: value } }] });
const policy = (name: string, spec: Readonly<Record<string, unknown>>, namespace = 'edge') =>
  istioObject('RequestAuthentication', { name, namespace }, spec);

const objects = [
  podObject({
    name: 'gw-0',
    namespace: 'edge',
    labels: { istio: 'gateway', 'gateway.networking.k8s.io/gateway-name': 'door' },
    ip: net.everywhere,
  }),
  istioObject(
    'Gateway',
    { name: 'door', namespace: 'edge' },
    {
      selector: { istio: 'gateway' },
      servers: [{ port: { number: 8080, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'claims', namespace: 'edge' },
    {
      hosts: ['*'],
      gateways: ['door'],
      http: [
        { ...when('@request.auth.claims.groups', { exact: 'admins' }), ...answers('admin') },
        { ...when('@request.auth.claims.account.tier', { prefix: 'gold' }), ...answers('gold') },
        { ...when('@request.auth.claims[https://names.test/role][kind]', { regex: 'aud.*' }), ...answers('auditor') },
        { ...when('@request.auth.claims.Case', {}), ...answers('case') },
        { ...when('@request.auth.claims.scope', { exact: 'write' }), ...answers('writer') },
        {
          match: [{ uri: { prefix: '/anonymous' }, withoutHeaders: { '@request.auth.claims.sub': {} } }],
          ...answers('anonymous'),
        },
        {
          match: [{ uri: { prefix: '/guest' }, withoutHeaders: { '@request.auth.claims.groups': { exact: 'staff' } } }],
          ...answers('guest'),
        },
        answers('rest'),
      ],
    },
  ),
  policy('by-label', {
    selector: { matchLabels: { istio: 'gateway' } },
    jwtRules: [{ issuer: ISSUER, jwks: keySet(key) }],
  }),
  policy('by-reference', {
    targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'door' }],
    jwtRules: [{ issuer: ISSUER, jwks: keySet(key), fromHeaders: [{ name: 'x-many' }] }],
  }),
  policy('by-one-reference', {
    targetRef: { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'door', namespace: 'edge' },
    jwtRules: [{ issuer: ISSUER, jwks: keySet(key), fromHeaders: [{ name: 'x-one' }] }],
  }),
  policy('other-gateway', {
    targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'window' }],
    jwtRules: [{ issuer: ISSUER, jwks: keySet(key), fromHeaders: [{ name: 'x-window' }] }],
  }),
  policy('other-kind', {
    targetRefs: [{ group: '', kind: 'Service', name: 'door' }],
    jwtRules: [{ issuer: ISSUER, jwks: keySet(key), fromHeaders: [{ name: 'x-window' }] }],
  }),
  policy('other-labels', {
    selector: { matchLabels: { istio: 'window' } },
    jwtRules: [{ issuer: ISSUER, jwks: keySet(key), fromHeaders: [{ name: 'x-window' }] }],
  }),
];

let envoy: OfflineEnvoy;
before(async () => {
  envoy = await startOfflineEnvoy({
    net,
    objects,
    proxy: { type: 'router', name: 'gw-0', namespace: 'edge', ipAddress: net.everywhere },
  });
});
after(() => envoy?.stop());

const ask = (headers: Readonly<Record<string, string>>, path = '/'): Promise<HttpReply> =>
  httpGet({ address: net.everywhere, port: 8080, host: 'any.test', path, headers });
const claims = async (more: Readonly<Record<string, unknown>>, path = '/'): Promise<string> =>
  (await ask({ authorization: `Bearer ${token(key, { iss: ISSUER, sub: 'alice', ...more })}` }, path)).body;

test('routes by the claims of a checked token, also nested ones and those with dots in their names', async () => {
  proves('VirtualService.spec.http[].match[].headers', 'VirtualService.spec.http[].match[].withoutHeaders');
  assert.equal(await claims({ groups: ['users', 'admins'] }), 'admin');
  assert.equal(await claims({ groups: 'admins' }), 'admin');
  assert.equal(await claims({ account: { tier: 'golden' } }), 'gold');
  assert.equal(await claims({ 'https://names.test/role': { kind: 'auditor' } }), 'auditor');
  assert.equal(await claims({ Case: 'anything' }), 'case');
  assert.equal(await claims({ case: 'anything' }), 'rest');
  assert.equal(await claims({ scope: 'read write' }), 'writer');
  assert.equal(await claims({ groups: ['users'] }), 'rest');
  assert.equal(await claims({}, '/anonymous'), 'rest');
  assert.equal((await ask({}, '/anonymous')).body, 'anonymous');
  assert.equal(await claims({ groups: ['staff'] }, '/guest'), 'rest');
  assert.equal(await claims({ groups: ['users'] }, '/guest'), 'guest');
});

test('nobody gets to a route by claims of a token that was not checked, or by a header of that name', async () => {
  const forged = token(tokenKey('one'), { iss: ISSUER, groups: 'admins' });
  const { status, body } = await ask({ authorization: `Bearer ${forged}` });
  assert.deepEqual([status, body], [401, 'Jwt verification fails']);
  assert.equal((await ask({})).body, 'rest');
  assert.notEqual(
    (await ask({ '@request.auth.claims.groups': 'admins' }).catch(() => ({ body: 'refused' }))).body,
    'admin',
  );
});

test('policies are for the gateways that they select or refer to', async () => {
  proves('RequestAuthentication.spec.targetRef', 'RequestAuthentication.spec.targetRefs[]');
  assert.equal((await ask({ 'x-many': 'nonsense' })).status, 401);
  assert.equal((await ask({ 'x-one': 'nonsense' })).status, 401);
  assert.equal((await ask({ 'x-window': 'nonsense' })).status, 200);
});
