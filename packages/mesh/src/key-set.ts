import { createHash, createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto';

/** A text that holds no key by which the signature of a token can be checked; the message says why. */
export class KeySetError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'KeySetError';
  }
}

/** A key as proxies get it: nothing but what checks a signature. */
type Key = Readonly<Record<string, string>>;

/** Algorithms that a key of each type may name (RFC 7518, section 3.1; RFC 8037); a proxy refuses its whole configuration for a key with another one. */
const algorithms: Readonly<Record<string, readonly string[]>> = {
  RSA: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  'P-256': ['ES256'],
  'P-384': ['ES384'],
  'P-521': ['ES512'],
  Ed25519: ['EdDSA'],
  oct: ['HS256', 'HS384', 'HS512'],
};

/** More keys than any issuer has at a time: a bound for what an object or a server can make proxies hold. */
const MOST_KEYS = 256;

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

/** The public half of what a certificate holds. */
function publicParts(key: KeyObject): Key {
  const { kty = '', crv, n, e, x, y } = key.export({ format: 'jwk' });
  return Object.fromEntries(
    Object.entries({ kty, crv, n, e, x, y }).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function fromCertificate(pem: string): Key {
  return publicParts(new X509Certificate(pem).publicKey);
}

/** The key without what does not matter, above all without a private half; raises {@link KeySetError} where it cannot check a signature. */
function usable(value: unknown, symmetric: boolean): Key {
  const jwk = record(value);
  const name = typeof jwk.kid === 'string' ? `key ${JSON.stringify(jwk.kid)}` : 'a key without kid';
  const fail = (why: string): never => {
    throw new KeySetError(`${name} ${why}`);
  };
  if (jwk.use !== undefined && jwk.use !== 'sig') fail(`is for ${JSON.stringify(jwk.use)}, not for signatures`);
  const { key_ops: operations } = jwk;
  // Who publishes private keys may say "sign" of them.
  if (Array.isArray(operations) && !operations.some((one) => one === 'verify' || one === 'sign'))
    fail('is not for signatures');
  let parts: Key;
  if (jwk.kty === 'oct') {
    if (!symmetric) fail('is a shared secret, which nobody may publish');
    if (typeof jwk.k !== 'string' || Buffer.from(jwk.k, 'base64url').length < 16)
      fail('is a shared secret of less than 16 bytes');
    parts = { kty: 'oct', k: String(jwk.k) };
  } else {
    const [certificate] = Array.isArray(jwk.x5c) ? jwk.x5c : [];
    try {
      parts =
        jwk.n === undefined && jwk.x === undefined && typeof certificate === 'string'
          ? fromCertificate(`-----BEGIN CERTIFICATE-----\n${certificate}\n-----END CERTIFICATE-----\n`)
          : publicParts(createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }));
    } catch (error) {
      return fail(`is none: ${error instanceof Error ? error.message : error}`);
    }
  }
  const known = algorithms[parts.crv ?? parts.kty ?? ''];
  if (known === undefined) return fail(`is of the type ${parts.kty} ${parts.crv ?? ''}, which proxies do not know`);
  const bits = 8 * Buffer.from(parts.n ?? '', 'base64url').length;
  if (parts.kty === 'RSA' && (bits < 1024 || bits > 8192)) fail(`has ${bits} bits; 1024 to 8192 are taken`);
  if (jwk.alg !== undefined && !known.includes(String(jwk.alg)))
    fail(`is for ${JSON.stringify(jwk.alg)}, which does not go with its type`);
  return {
    ...parts,
    ...(typeof jwk.kid === 'string' && { kid: jwk.kid }),
    ...(typeof jwk.alg === 'string' && { alg: jwk.alg }),
  };
}

/** Certificates by the names of their keys: the other form in which issuers publish them. */
function certificates(value: Readonly<Record<string, unknown>>): readonly unknown[] {
  return Object.entries(value).flatMap(([kid, pem]) => {
    if (typeof pem !== 'string' || !pem.startsWith('-----BEGIN CERTIFICATE-----')) return [];
    try {
      return [{ ...fromCertificate(pem), kid }];
    } catch {
      // Other keys of the set stay usable.
      return [];
    }
  });
}

/**
 * Reads a key set (RFC 7517), or certificates by names of keys, and writes those of its keys that proxies can use, always in the same way for the same
 * keys. `symmetric` takes shared secrets too. Raises {@link KeySetError} where there is none: with a set like that a proxy refuses its configuration.
 */
export function canonicalKeySet(text: string, { symmetric = false }: { readonly symmetric?: boolean } = {}): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new KeySetError('it is not JSON; expected is a key set: {"keys": [...]}');
  }
  const set = record(value);
  const listed = Array.isArray(set.keys) ? set.keys : certificates(set);
  if (listed.length === 0) throw new KeySetError('it has no keys; expected is a key set: {"keys": [...]}');
  if (listed.length > MOST_KEYS) throw new KeySetError(`it has ${listed.length} keys; ${MOST_KEYS} are taken at most`);
  const problems: string[] = [];
  const keys = new Set<string>();
  for (const one of listed) {
    try {
      const key = usable(one, symmetric);
      keys.add(JSON.stringify(Object.fromEntries(Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1)))));
    } catch (error) {
      if (!(error instanceof KeySetError)) throw error;
      problems.push(error.message);
    }
  }
  if (keys.size === 0) throw new KeySetError(`none of its keys can be used: ${problems.join('; ')}`);
  return `{"keys":[${[...keys].join(',')}]}`;
}

const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let b = base % P, e = exponent; e > 0n; e >>= 1n, b = (b * b) % P) if (e & 1n) result = (result * b) % P;
  return result;
}

const coordinate = (value: bigint): string =>
  Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toString('base64url');

function unknownPoint(): { readonly x: bigint; readonly y: bigint } {
  for (let i = 0; ; i++) {
    const digest = createHash('sha256').update(`istio-ts: a key of which nobody has the other half ${i}`).digest('hex');
    const x = BigInt(`0x${digest}`) % P;
    const square = (x * x * x - 3n * x + B + 3n * P) % P;
    const y = power(square, (P + 1n) / 4n);
    if ((y * y) % P === square) return { x, y };
  }
}

let nothing: string | undefined;

/**
 * A key set that verifies no token: proxies refuse a set without keys, so it has one, of which nobody can know the private half: a point of the curve
 * P-256 that comes out of a hash, not out of a number times the generator. The same everywhere and always, so that proxies get no news by it.
 */
export function verifiesNothing(): string {
  if (nothing === undefined) {
    const { x, y } = unknownPoint();
    const key = { alg: 'ES256', crv: 'P-256', kid: 'none', kty: 'EC', x: coordinate(x), y: coordinate(y) };
    nothing = JSON.stringify({ keys: [key] });
  }
  return nothing;
}
