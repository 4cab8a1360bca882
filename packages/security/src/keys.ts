import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { children, expectTag, oid, readBitString, readOid, readWhole, sequence, Tag, tlv } from './der.ts';
import type { DerValue } from './der.ts';
import { Oid } from './oids.ts';

/** Kinds of key the mesh makes and signs for. */
export type KeyAlgorithm =
  | { readonly kind: 'ecdsa'; readonly curve: 'P-256' | 'P-384' }
  | { readonly kind: 'rsa'; readonly bits: number };

export const P256: KeyAlgorithm = { kind: 'ecdsa', curve: 'P-256' };

/** Thrown for a key or signature of a kind or size that the mesh does not accept. */
export class KeyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'KeyError';
  }
}

export function generatePrivateKey(algorithm: KeyAlgorithm = P256): KeyObject {
  switch (algorithm.kind) {
    case 'ecdsa':
      return generateKeyPairSync('ec', { namedCurve: algorithm.curve }).privateKey;
    case 'rsa':
      if (algorithm.bits < 2048 || algorithm.bits > 8192)
        throw new KeyError(`RSA keys must have 2048 to 8192 bits, not ${algorithm.bits}`);
      return generateKeyPairSync('rsa', { modulusLength: algorithm.bits }).privateKey;
  }
}

/** PEM of a private key: SEC 1 or PKCS #1 (what Envoy and stock agents write), or PKCS #8. */
export function exportPrivateKey(key: KeyObject, pkcs8 = false): string {
  if (pkcs8) return key.export({ type: 'pkcs8', format: 'pem' }).toString();
  return key.export({ type: key.asymmetricKeyType === 'ec' ? 'sec1' : 'pkcs1', format: 'pem' }).toString();
}

export function importPrivateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new KeyError(`not a private key in PEM: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** SubjectPublicKeyInfo of the public half. */
export function publicKeyInfo(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

/** Reads a SubjectPublicKeyInfo; accepts RSA of 2048 to 8192 bits, P-256, P-384 and P-521, Ed25519. */
export function readPublicKey(spki: Buffer): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch {
    throw new KeyError('the public key cannot be read');
  }
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case 'rsa': {
      const bits = details?.modulusLength ?? 0;
      if (bits < 2048 || bits > 8192) throw new KeyError(`RSA keys must have 2048 to 8192 bits, not ${bits}`);
      return key;
    }
    case 'ec': {
      const curve = details?.namedCurve ?? '';
      if (!['prime256v1', 'secp384r1', 'secp521r1'].includes(curve))
        throw new KeyError(`curve ${curve} is not accepted, use P-256 or P-384`);
      return key;
    }
    case 'ed25519':
      return key;
    default:
      throw new KeyError(`keys of type ${key.asymmetricKeyType ?? 'unknown'} are not accepted, use ECDSA P-256 or RSA`);
  }
}

/** Key identifier: SHA-1 of the public key's bits (RFC 5280, 4.2.1.2, method 1). */
export function keyIdentifier(spki: Buffer): Buffer {
  const bits = readBitString(children(readWhole(spki))[1], 'public key');
  return createHash('sha1').update(bits).digest();
}

interface SignatureAlgorithm {
  readonly hash: string | null;
  readonly keyType: 'ec' | 'rsa' | 'ed25519';
}

const SIGNATURES: Readonly<Record<string, SignatureAlgorithm>> = {
  [Oid.ecdsaWithSha256]: { hash: 'sha256', keyType: 'ec' },
  [Oid.ecdsaWithSha384]: { hash: 'sha384', keyType: 'ec' },
  [Oid.ecdsaWithSha512]: { hash: 'sha512', keyType: 'ec' },
  [Oid.rsaWithSha256]: { hash: 'sha256', keyType: 'rsa' },
  [Oid.rsaWithSha384]: { hash: 'sha384', keyType: 'rsa' },
  [Oid.rsaWithSha512]: { hash: 'sha512', keyType: 'rsa' },
  [Oid.ed25519]: { hash: null, keyType: 'ed25519' },
};

const RSA_SHA256 = sequence(oid(Oid.rsaWithSha256), tlv(Tag.null));
const ECDSA_SHA256 = sequence(oid(Oid.ecdsaWithSha256));
const ECDSA_SHA384 = sequence(oid(Oid.ecdsaWithSha384));
const ED25519 = sequence(oid(Oid.ed25519));

/** AlgorithmIdentifier and hash with which a key of this kind signs. */
export function signatureAlgorithm(key: KeyObject): { readonly identifier: Buffer; readonly hash: string | null } {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return { identifier: RSA_SHA256, hash: 'sha256' };
    case 'ec':
      return key.asymmetricKeyDetails?.namedCurve === 'prime256v1'
        ? { identifier: ECDSA_SHA256, hash: 'sha256' }
        : { identifier: ECDSA_SHA384, hash: 'sha384' };
    case 'ed25519':
      return { identifier: ED25519, hash: null };
    default:
      throw new KeyError(`keys of type ${key.asymmetricKeyType ?? 'unknown'} cannot sign certificates`);
  }
}

/** `SEQUENCE { body, algorithm, signature }`: the outer shape of certificates and requests alike. */
export function signStructure(body: Buffer, key: KeyObject): Buffer {
  const { identifier, hash } = signatureAlgorithm(key);
  const signature = sign(hash, body, key);
  return sequence(body, identifier, tlv(Tag.bitString, Uint8Array.of(0), signature));
}

/** Checks the signature of such a structure with its own algorithm field. Raises {@link KeyError} for algorithms not accepted (SHA-1, MD5, PSS). */
export function verifyStructure(parts: readonly DerValue[], key: KeyObject): boolean {
  const body = expectTag(parts[0], Tag.sequence, 'signed part');
  const id = readOid(children(expectTag(parts[1], Tag.sequence, 'signature algorithm'))[0], 'signature algorithm');
  const algorithm = Object.hasOwn(SIGNATURES, id) ? SIGNATURES[id] : undefined;
  if (algorithm === undefined) throw new KeyError(`signature algorithm ${id} is not accepted`);
  if (algorithm.keyType !== key.asymmetricKeyType) return false;
  try {
    return verify(algorithm.hash, body.raw, key, readBitString(parts[2], 'signature'));
  } catch {
    // A signature of another shape than the key makes.
    return false;
  }
}
