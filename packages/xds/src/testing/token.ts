import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

type Algorithm = 'RS256' | 'RS512' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA';

/** An issuer's key: what it signs with and what it publishes. */
export interface TokenKey {
  readonly kid: string;
  readonly algorithm: Algorithm;
  readonly privateKey: KeyObject;
  readonly jwk: Readonly<Record<string, unknown>>;
}

function generate(algorithm: Algorithm): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  switch (algorithm) {
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' });
    case 'ES384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' });
    case 'EdDSA':
      return generateKeyPairSync('ed25519');
    default:
      return generateKeyPairSync('rsa', { modulusLength: 2048 });
  }
}

export function tokenKey(kid: string, algorithm: Algorithm = 'RS256'): TokenKey {
  const { publicKey, privateKey } = generate(algorithm);
  return {
    kid,
    algorithm,
    privateKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg: algorithm, use: 'sig' },
  };
}

/** A key set of these keys, as an issuer publishes it. */
export const keySet = (...keys: readonly TokenKey[]): string => JSON.stringify({ keys: keys.map(({ jwk }) => jwk) });

export const base64url = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

function signature({ algorithm, privateKey }: TokenKey, data: Buffer): Buffer {
  const bits = algorithm.slice(2);
  switch (algorithm) {
    case 'EdDSA':
      return sign(null, data, privateKey);
    case 'ES256':
    case 'ES384':
      return sign(`sha${bits}`, data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    case 'PS256':
      return sign(`sha${bits}`, data, {
        key: privateKey,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      });
    default:
      return sign(`sha${bits}`, data, privateKey);
  }
}

const inAnHour = (): number => Math.floor(Date.now() / 1000) + 3600;

/** A signed token; it is valid for an hour unless the claims say otherwise. */
export function token(
  key: TokenKey,
  claims: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>> = {},
): string {
  const data = `${base64url({ alg: key.algorithm, typ: 'JWT', kid: key.kid, ...header })}.${base64url({ exp: inAnHour(), ...claims })}`;
  return `${data}.${signature(key, Buffer.from(data)).toString('base64url')}`;
}

/** A token that says that nobody signed it. */
export const unsignedToken = (claims: Readonly<Record<string, unknown>>): string =>
  `${base64url({ alg: 'none', typ: 'JWT' })}.${base64url({ exp: inAnHour(), ...claims })}.`;

/** A token signed with a shared secret, which a forger may take from a public key. */
export function sharedSecretToken(secret: string, claims: Readonly<Record<string, unknown>>, kid: string): string {
  const data = `${base64url({ alg: 'HS256', typ: 'JWT', kid })}.${base64url({ exp: inAnHour(), ...claims })}`;
  return `${data}.${createHmac('sha256', secret).update(data).digest('base64url')}`;
}
