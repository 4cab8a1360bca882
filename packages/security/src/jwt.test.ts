import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, it } from 'node:test';
import { readVerificationKeys, verifyToken } from './jwt.ts';
import { TokenError } from './tokens.ts';

const now = 1_700_000_000_000;
const seconds = now / 1000;
const expected = { issuer: 'https://issuer.example', audiences: ['istio-ca', 'other'], now };
const claims = {
  iss: 'https://issuer.example',
  sub: 'system:serviceaccount:shop:cart',
  aud: 'istio-ca',
  iat: seconds - 10,
  exp: seconds + 3600,
};
const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const signed = (header: object, body: object, signature: (text: Buffer) => Buffer): string => {
  const text = `${part(header)}.${part(body)}`;
  return `${text}.${signature(Buffer.from(text)).toString('base64url')}`;
};
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
const jwk = (key: KeyObject, more: object = {}): object => ({ ...key.export({ format: 'jwk' }), ...more });
const keys = readVerificationKeys(
  JSON.stringify({
    keys: [
      jwk(rsa.publicKey, { kid: 'r', use: 'sig' }),
      jwk(ec.publicKey, { kid: 'e', alg: 'ES256' }),
      jwk(ed.publicKey),
      jwk(weak.publicKey, { kid: 'weak' }),
      { kty: 'oct', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQ', kid: 'shared' },
      { kty: 'RSA', n: 'AQ' },
      'nothing',
    ],
  }),
);
const byRsa = (text: Buffer): Buffer => sign('sha256', text, rsa.privateKey);
const byEc = (text: Buffer): Buffer => sign('sha256', text, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });

describe('tokens of an issuer', () => {
  it('are verified with RSA, PSS, ECDSA and Ed25519', () => {
    const tokens = [
      signed({ alg: 'RS256', kid: 'r' }, claims, byRsa),
      signed({ alg: 'PS256', kid: 'r' }, claims, (text) =>
        sign('sha256', text, { key: rsa.privateKey, padding: 6, saltLength: 32 }),
      ),
      signed({ alg: 'ES256', kid: 'e' }, { ...claims, aud: ['x', 'other'] }, byEc),
      signed({ alg: 'EdDSA' }, claims, (text) => sign(null, text, ed.privateKey)),
    ];
    for (const token of tokens) assert.equal(verifyToken(token, keys, expected).subject, claims.sub);
  });

  it('are refused for their signature', () => {
    const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
    const cases: readonly (readonly [string, RegExp])[] = [
      [`${part({ alg: 'none' })}.${part(claims)}.`, /signed with "none"/],
      [
        signed({ alg: 'HS256', kid: 'shared' }, claims, (t) =>
          createHmac('sha256', 'secret-secret-secret').update(t).digest(),
        ),
        /"HS256"/,
      ],
      // A public key taken for a shared secret.
      [signed({ alg: 'HS256', kid: 'r' }, claims, (t) => createHmac('sha256', pem).update(t).digest()), /"HS256"/],
      [signed({ alg: 'RS256', kid: 'e' }, claims, byRsa), /key that its issuer does not have/],
      [signed({ alg: 'RS256', kid: 'weak' }, claims, (t) => sign('sha256', t, weak.privateKey)), /does not have/],
      [
        signed({ alg: 'RS256', kid: 'r' }, claims, (t) =>
          sign('sha256', t, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
        ),
        /does not verify/,
      ],
      [signed({ alg: 'ES256', kid: 'e' }, claims, (t) => sign('sha256', t, ec.privateKey)), /does not verify/],
      [signed({ alg: 'RS256', kid: 'r', crit: ['b64'], b64: false }, claims, byRsa), /critical/],
      [signed({ alg: 'RS256', kid: 'r' }, claims, byRsa).replace(/\.[^.]+$/, '.'), /does not verify/],
      ['a.b.c', /no JSON/],
      ['x'.repeat(20_000), /at most/],
    ];
    for (const [token, message] of cases)
      assert.throws(
        () => verifyToken(token, keys, expected),
        (error) => error instanceof TokenError && message.test(error.message),
      );
    // The payload of another token under a good signature.
    const [header, , signature] = signed({ alg: 'RS256', kid: 'r' }, claims, byRsa).split('.');
    const forged = `${header}.${part({ ...claims, sub: 'system:serviceaccount:kube-system:admin' })}.${signature}`;
    assert.throws(() => verifyToken(forged, keys, expected), /does not verify/);
  });

  it('are refused for what they say', () => {
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ iss: 'https://other.example' }, /another issuer/],
      [{ aud: 'kubernetes' }, /not meant for any of the audiences istio-ca, other/],
      [{ aud: undefined }, /not meant for/],
      [{ exp: seconds - 1 }, /has expired/],
      [{ exp: undefined }, /no time of expiry/],
      [{ nbf: seconds + 120 }, /not valid yet/],
      [{ iat: seconds + 120 }, /in the future/],
    ];
    for (const [change, message] of cases)
      assert.throws(
        () => verifyToken(signed({ alg: 'RS256', kid: 'r' }, { ...claims, ...change }, byRsa), keys, expected),
        message,
      );
  });

  it('a key set without a usable key is none', () => {
    for (const text of ['', '[]', '{"keys":[]}', '{"keys":[{"kty":"oct","k":"AAAA"}]}'])
      assert.throws(() => readVerificationKeys(text), TokenError);
  });
});
