import { createSign, generateKeyPairSync, randomUUID } from 'node:crypto';

/** An issuer of JSON web tokens with an RSA key of its own. */
export interface Issuer {
  readonly name: string;
  /** Its public key as a key set. */
  readonly jwks: string;
  /** A token (RS256) with these claims beside `iss`, `iat` and `exp` (in an hour, unless they say otherwise). */
  token(claims: Readonly<Record<string, unknown>>): string;
}

export function issuer(name: string): Issuer {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kid = randomUUID();
  const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    name,
    jwks: JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }] }),
    token: (claims) => {
      const now = Math.floor(Date.now() / 1000);
      const payload = { iss: name, iat: now, exp: now + 3600, ...claims };
      const signed = `${encoded({ alg: 'RS256', typ: 'JWT', kid })}.${encoded(payload)}`;
      return `${signed}.${createSign('RSA-SHA256').update(signed).sign(privateKey).toString('base64url')}`;
    },
  };
}
