import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatSpiffe, parseSpiffe, SpiffeError, trustDomainOf } from './spiffe.ts';
import { isTokenExpired, readTokenClaims, readTokenReview, TokenError, tokenReview } from './tokens.ts';

test('identities are written and read', () => {
  const identity = { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'sleep' };
  assert.equal(formatSpiffe(identity), 'spiffe://cluster.local/ns/default/sa/sleep');
  assert.deepEqual(parseSpiffe(formatSpiffe(identity)), identity);
  assert.equal(trustDomainOf('spiffe://td.example/workload'), 'td.example');
});

for (const text of [
  '',
  'http://a/ns/b/sa/c',
  'spiffe://a/ns//sa/c',
  'spiffe://a/ns/b/sa/c/d',
  'spiffe://A/ns/b/sa/c',
  'spiffe://a/ns/b/sa/c d',
]) {
  test(`"${text}" is no identity`, () => assert.throws(() => parseSpiffe(text), SpiffeError));
}

const jwt = (claims: unknown): string => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;

test('claims are read from a token', () => {
  const claims = readTokenClaims(jwt({ iss: 'k', sub: 's', aud: ['istio-ca'], exp: 100 }));
  assert.deepEqual(claims, {
    issuer: 'k',
    subject: 's',
    audiences: ['istio-ca'],
    expiresAt: 100,
    issuedAt: undefined,
    notBefore: undefined,
  });
  assert.equal(isTokenExpired(claims, 99_000), false);
  assert.equal(isTokenExpired(claims, 100_000), true);
  assert.throws(() => readTokenClaims('abc'), TokenError);
  assert.throws(() => readTokenClaims('a.b.c'), TokenError);
});

test('a review names service account and pod', () => {
  assert.deepEqual(tokenReview('t', ['istio-ca']).spec, { token: 't', audiences: ['istio-ca'] });
  const user = {
    username: 'system:serviceaccount:shop:cart',
    extra: { 'authentication.kubernetes.io/pod-name': ['cart-1'] },
  };
  assert.deepEqual(readTokenReview({ status: { authenticated: true, audiences: ['istio-ca'], user } }, ['istio-ca']), {
    authenticated: true,
    namespace: 'shop',
    serviceAccount: 'cart',
    podName: 'cart-1',
    podUid: undefined,
  });
});

test('a review of another audience, another user or none is refused', () => {
  const user = { username: 'system:serviceaccount:shop:cart' };
  assert.equal(
    readTokenReview({ status: { authenticated: true, audiences: ['x'], user } }, ['istio-ca']).authenticated,
    false,
  );
  assert.equal(
    readTokenReview({ status: { authenticated: true, user: { username: 'admin' } } }, []).authenticated,
    false,
  );
  assert.equal(readTokenReview({ status: { authenticated: false, error: 'expired' } }, []).authenticated, false);
  assert.equal(readTokenReview(null, []).authenticated, false);
});
