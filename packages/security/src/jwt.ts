import { constants, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto';
import { readTokenClaims, type TokenClaims, TokenError } from './tokens.ts';

/** How a signature is checked: RFC 7518, section 3.1, and RFC 8037. Shared secrets and `none` are left out: whoever verifies could forge. */
interface Algorithm {
  readonly keyType: 'rsa' | 'ec' | 'ed25519';
  readonly hash: string | null;
  readonly curve?: string;
  readonly pss?: true;
}

const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ['RS256', { keyType: 'rsa', hash: 'sha256' }],
  ['RS384', { keyType: 'rsa', hash: 'sha384' }],
  ['RS512', { keyType: 'rsa', hash: 'sha512' }],
  ['PS256', { keyType: 'rsa', hash: 'sha256', pss: true }],
  ['PS384', { keyType: 'rsa', hash: 'sha384', pss: true }],
  ['PS512', { keyType: 'rsa', hash: 'sha512', pss: true }],
  ['ES256', { keyType: 'ec', hash: 'sha256', curve: 'prime256v1' }],
  ['ES384', { keyType: 'ec', hash: 'sha384', curve: 'secp384r1' }],
  ['ES512', { keyType: 'ec', hash: 'sha512', curve: 'secp521r1' }],
  ['EdDSA', { keyType: 'ed25519', hash: null }],
]);

const SHORTEST_RSA = 2048;
const MOST_KEYS = 256;
/** Clocks of issuers may run ahead by so much. */
const CLOCK_SKEW_S = 60;

/** Keys of an issuer, as far as they can verify tokens. */
export interface VerificationKeys {
  readonly keys: readonly VerificationKey[];
}

interface VerificationKey {
  readonly kid: string | undefined;
  readonly alg: string | undefined;
  readonly key: KeyObject;
}

/** Reads a key set (RFC 7517). Keys that cannot verify are left out. Raises {@link TokenError} when none is left. */
export function readVerificationKeys(text: string): VerificationKeys {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    throw new TokenError('the key set is not JSON');
  }
  const list = typeof set === 'object' && set !== null ? (set as { readonly keys?: unknown }).keys : undefined;
  const keys = (Array.isArray(list) ? list.slice(0, MOST_KEYS) : []).flatMap((value: unknown): VerificationKey[] => {
    if (typeof value !== 'object' || value === null) return [];
    const { kid, alg, use, kty } = value as Readonly<Record<string, unknown>>;
    if (kty === 'oct' || (use !== undefined && use !== 'sig')) return [];
    try {
      const key = createPublicKey({ key: value as JsonWebKey, format: 'jwk' });
      return [{ kid: textOf(kid), alg: textOf(alg), key }];
    } catch {
      // A kind of key that nobody here can verify with; others of the set may do.
      return [];
    }
  });
  if (keys.length === 0) throw new TokenError('the key set holds no key that can verify a token');
  return { keys };
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** The key that a token names, if it names one. Not verified. Raises {@link TokenError}. */
export function readTokenKeyId(token: string): string | undefined {
  return readHeader(token).kid;
}

interface Header {
  readonly alg: string;
  readonly kid: string | undefined;
}

function readHeader(token: string): Header {
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(token.split('.', 1)[0] ?? '', 'base64url').toString('utf8'));
  } catch {
    throw new TokenError('the token is no JWT: its first part is no JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw new TokenError('the token is no JWT: its header is no object');
  const { alg, kid, crit } = header as Readonly<Record<string, unknown>>;
  // An extension that has to be understood, and nobody here understands one (RFC 7515, 4.1.11).
  if (crit !== undefined) throw new TokenError('the token has critical header parameters');
  return { alg: typeof alg === 'string' ? alg : '', kid: textOf(kid) };
}

export interface TokenExpectation {
  readonly issuer: string;
  /** One of them has to be among the token's. */
  readonly audiences: readonly string[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Verifies a signed JWT (RFC 7519): its signature by one of the keys, issuer, audience and times. A token without an end is refused. Raises
 * {@link TokenError}, which says what is wrong with it.
 */
export function verifyToken(token: string, { keys }: VerificationKeys, expected: TokenExpectation): TokenClaims {
  const claims = readTokenClaims(token);
  const { alg, kid } = readHeader(token);
  const algorithm = ALGORITHMS.get(alg);
  if (algorithm === undefined)
    throw new TokenError(`the token is signed with "${alg.slice(0, 20)}", which is not accepted`);
  const [header = '', payload = '', signature = ''] = token.trim().split('.');
  const candidates = keys.filter(
    (one) =>
      (kid === undefined || one.kid === undefined || one.kid === kid) &&
      (one.alg === undefined || one.alg === alg) &&
      fits(one.key, algorithm),
  );
  if (candidates.length === 0) throw new TokenError('the token is signed with a key that its issuer does not have');
  const body = Buffer.from(`${header}.${payload}`);
  const bytes = Buffer.from(signature, 'base64url');
  if (!candidates.some(({ key }) => isSignedBy(body, bytes, key, algorithm)))
    throw new TokenError('the signature of the token does not verify');

  const now = expected.now / 1000;
  if (claims.issuer !== expected.issuer) throw new TokenError('the token is of another issuer');
  if (!claims.audiences.some((audience) => expected.audiences.includes(audience)))
    throw new TokenError(`the token is not meant for any of the audiences ${expected.audiences.join(', ')}`);
  if (claims.expiresAt === undefined) throw new TokenError('the token has no time of expiry');
  if (now >= claims.expiresAt) throw new TokenError('the token has expired');
  if (claims.notBefore !== undefined && now + CLOCK_SKEW_S < claims.notBefore)
    throw new TokenError('the token is not valid yet');
  if (claims.issuedAt !== undefined && now + CLOCK_SKEW_S < claims.issuedAt)
    throw new TokenError('the token was issued in the future');
  return claims;
}

function fits(key: KeyObject, { keyType, curve }: Algorithm): boolean {
  if (key.asymmetricKeyType !== keyType) return false;
  if (keyType === 'rsa') return (key.asymmetricKeyDetails?.modulusLength ?? 0) >= SHORTEST_RSA;
  return curve === undefined || key.asymmetricKeyDetails?.namedCurve === curve;
}

function isSignedBy(body: Buffer, signature: Buffer, key: KeyObject, { hash, keyType, pss }: Algorithm): boolean {
  try {
    return verify(
      hash,
      body,
      {
        key,
        ...(keyType === 'ec' && { dsaEncoding: 'ieee-p1363' as const }),
        ...(pss && { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }),
      },
      signature,
    );
  } catch {
    // A signature of another shape than the key makes.
    return false;
  }
}
