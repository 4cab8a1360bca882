import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { canonicalKeySet, KeySetError, verifiesNothing } from './key-set.ts';

const rsa = (bits = 2048) => generateKeyPairSync('rsa', { modulusLength: bits });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const of = (...keys: readonly unknown[]): string => JSON.stringify({ keys });
const keysOf = (text: string): readonly Record<string, string>[] => JSON.parse(text).keys;
const refused = (text: string, message: RegExp, symmetric = false): void =>
  assert.throws(
    () => canonicalKeySet(text, { symmetric }),
    (error) => error instanceof KeySetError && message.test(error.message),
  );

describe('canonicalKeySet', () => {
  test('the same keys are always the same text, without what does not matter', () => {
    const { kty, crv, x, y } = ec.publicKey.export({ format: 'jwk' });
    const one = canonicalKeySet(of({ kty, crv, x, y, kid: 'a', alg: 'ES256', use: 'sig', 'x5t#S256': 'abc' }));
    assert.equal(
      one,
      canonicalKeySet(` { "keys" : [ ${JSON.stringify({ use: 'sig', alg: 'ES256', y, x, crv, kid: 'a', kty })} ] } `),
    );
    assert.deepEqual(Object.keys(keysOf(one)[0] ?? {}), ['alg', 'crv', 'kid', 'kty', 'x', 'y']);
  });

  test('a private key goes no further', () => {
    const { privateKey } = rsa();
    const [key] = keysOf(canonicalKeySet(of({ ...privateKey.export({ format: 'jwk' }), kid: 'p' })));
    assert.deepEqual(Object.keys(key ?? {}).sort(), ['e', 'kid', 'kty', 'n']);
  });

  test('keys that proxies cannot use are left out as long as another one stays', () => {
    const good = { ...rsa().publicKey.export({ format: 'jwk' }), kid: 'good' };
    const kept = canonicalKeySet(
      of(
        { ...rsa().publicKey.export({ format: 'jwk' }), kid: 'enc', use: 'enc' },
        { ...generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' }), kid: 'coin' },
        { ...good, kid: 'wrong', alg: 'ES256' },
        { kty: 'oct', k: 'c2VjcmV0c2VjcmV0c2VjcmV0', kid: 'shared' },
        null,
        good,
      ),
    );
    assert.deepEqual(
      keysOf(kept).map(({ kid }) => kid),
      ['good'],
    );
  });

  test('what has no usable key is refused, with the reason', () => {
    refused('<html>', /not JSON/);
    refused('[]', /no keys/);
    refused(of(), /no keys/);
    refused(of({ kty: 'RSA', n: '!', e: 'AQAB', kid: 'k' }), /key "k"/);
    refused(of({ kty: 'RSA', n: 'AQAB', e: 'AQAB', kid: 'k' }), /bits/);
    refused(of({ kty: 'oct', k: 'c2VjcmV0c2VjcmV0c2VjcmV0' }), /shared secret, which nobody may publish/);
    refused(of({ kty: 'oct', k: '' }), /less than 16 bytes/, true);
    refused(of(...Array.from({ length: 300 }, () => ({}))), /300 keys/);
  });

  test('a shared secret is taken where the policy itself has it', () => {
    const key = { kty: 'oct', k: 'c2VjcmV0c2VjcmV0c2VjcmV0', alg: 'HS256' };
    assert.deepEqual(keysOf(canonicalKeySet(of(key), { symmetric: true })), [{ alg: 'HS256', k: key.k, kty: 'oct' }]);
  });
});

test('the key set that verifies nothing is a point of the curve, and always the same one', () => {
  const [key] = keysOf(verifiesNothing());
  assert.equal(createPublicKey({ key: key ?? {}, format: 'jwk' }).asymmetricKeyType, 'ec');
  assert.equal(canonicalKeySet(verifiesNothing()), verifiesNothing());
});
