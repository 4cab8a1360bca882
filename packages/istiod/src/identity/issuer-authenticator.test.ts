import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { createIssuerAuthenticator } from './issuer-authenticator.ts';

/** Keys of an issuer over time: what is fetched when, and what counts while nothing can be fetched. */

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const minutes = (count: number): number => count * 60_000;

function world() {
  let clock = 1_700_000_000_000;
  let kid = 'a';
  let keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  let isAway = false;
  const fetched: string[] = [];
  const issuer = 'https://issuer.example';
  const warnings: string[] = [];
  const authenticate = createIssuerAuthenticator(
    { issuer, audiences: ['istio-ca'], jwksUri: '', jwks: '' },
    {
      fetchText: async (url) => {
        fetched.push(url);
        if (isAway) throw new Error('connect ECONNREFUSED');
        return url.endsWith('/keys')
          ? JSON.stringify({ keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid }] })
          : JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` });
      },
      now: () => clock,
      log: { debug() {}, info() {}, error() {}, warn: (line: string) => void warnings.push(line) },
    },
  );
  const token = (claims: object = {}): string => {
    const now = clock / 1000;
    const all = { iss: issuer, sub: 'system:serviceaccount:shop:cart', aud: 'istio-ca', exp: now + 9e6, ...claims };
    const text = `${part({ alg: 'RS256', kid })}.${part(all)}`;
    return `${text}.${sign('sha256', Buffer.from(text), keys.privateKey).toString('base64url')}`;
  };
  return {
    authenticate,
    token,
    fetched,
    warnings,
    pass: (ms: number) => {
      clock += ms;
    },
    away: (value: boolean) => {
      isAway = value;
    },
    rotate: (name: string) => {
      kid = name;
      keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
    },
  };
}

test('keys are found by the issuer’s configuration, kept, and looked for again when a token names another', async () => {
  const { authenticate, token, fetched, rotate, pass } = world();
  const accepted = { authenticated: true, namespace: 'shop', serviceAccount: 'cart' };
  assert.deepEqual(await authenticate(token()), accepted);
  assert.deepEqual(await authenticate(token()), accepted);
  assert.deepEqual(fetched, ['https://issuer.example/.well-known/openid-configuration', 'https://issuer.example/keys']);
  assert.equal(await authenticate(token({ iss: 'https://other.example' })), undefined);
  rotate('b');
  assert.equal((await authenticate(token()))?.authenticated, false);
  assert.equal(fetched.length, 2);
  pass(31_000);
  assert.deepEqual(await authenticate(token()), accepted);
  assert.equal(fetched.length, 4);
});

test('without keys nobody is let in; with the last ones everybody whom they verify', async () => {
  const { authenticate, token, fetched, away, pass, warnings } = world();
  away(true);
  await assert.rejects(authenticate(token()), /no keys of the issuer https:\/\/issuer\.example: .*ECONNREFUSED/);
  await assert.rejects(authenticate(token()), /no keys/);
  assert.equal(fetched.length, 1);
  away(false);
  pass(6000);
  assert.equal((await authenticate(token()))?.authenticated, true);
  away(true);
  pass(minutes(21));
  assert.equal((await authenticate(token()))?.authenticated, true);
  assert.equal((await authenticate(token()))?.authenticated, true);
  assert.match(warnings.at(-1) ?? '', /the ones fetched before stay in force/);
});

test('keys that stand in the rule are the only ones', async () => {
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { token } = world();
  const authenticate = createIssuerAuthenticator(
    {
      issuer: 'https://issuer.example',
      audiences: ['istio-ca'],
      jwksUri: '',
      jwks: JSON.stringify({ keys: [stranger.publicKey.export({ format: 'jwk' })] }),
    },
    {
      fetchText: () => Promise.reject(new Error('nothing is fetched')),
      now: () => 1_700_000_000_000,
      log: { debug() {}, info() {}, warn() {}, error() {} },
    },
  );
  assert.deepEqual(await authenticate(token()), {
    authenticated: false,
    reason: 'the signature of the token does not verify',
  });
});
