import type { KeyObject } from 'node:crypto';
import {
  children,
  contextTag,
  DerError,
  expectTag,
  oid,
  readOid,
  readWhole,
  sequence,
  set,
  smallInteger,
  Tag,
  tlv,
} from './der.ts';
import { decodeAltNames, decodeExtensions, subjectAltName } from './extensions.ts';
import type { AltName } from './extensions.ts';
import { KeyError, publicKeyInfo, readPublicKey, signStructure, verifyStructure } from './keys.ts';
import { decodeName, encodeName } from './name.ts';
import type { NameAttribute } from './name.ts';
import { Oid } from './oids.ts';
import { decodePem, encodePem, PemError } from './pem.ts';

/** Thrown for a certificate request that cannot be signed; the message is for the client. */
export class CsrError extends Error {
  constructor(message: string) {
    super(`certificate request refused: ${message}`);
    this.name = 'CsrError';
  }
}

/** A certificate request (PKCS #10, RFC 2986) whose signature has been verified, so that the sender holds the key. */
export interface CertificateRequest {
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo, as in the request. */
  readonly publicKeyInfo: Buffer;
  readonly subject: readonly NameAttribute[];
  readonly altNames: readonly AltName[];
}

/** A request with an 8192-bit RSA key and a handful of names stays under this. */
const MAX_CSR_PEM = 16 * 1024;

/** Makes a request for these names, signed with the key. The result is PEM. */
export function createCsr(
  key: KeyObject,
  altNames: readonly AltName[],
  subject: readonly NameAttribute[] = [],
): string {
  const attributes =
    altNames.length === 0
      ? tlv(contextTag(0, true))
      : // The SAN is critical exactly when the subject is empty (RFC 5280, 4.2.1.6).
        tlv(
          contextTag(0, true),
          sequence(oid(Oid.extensionRequest), set(sequence(subjectAltName(altNames, subject.length === 0)))),
        );
  const body = sequence(smallInteger(0), encodeName(subject), publicKeyInfo(key), attributes);
  return encodePem('CERTIFICATE REQUEST', signStructure(body, key));
}

/** Parses and verifies a request in PEM. Everything a stranger can get wrong raises {@link CsrError}. */
export function parseCsr(pem: string): CertificateRequest {
  if (pem.length > MAX_CSR_PEM)
    throw new CsrError(`it has ${pem.length} characters, at most ${MAX_CSR_PEM} are accepted`);
  try {
    const label = pem.includes('-----BEGIN NEW CERTIFICATE REQUEST-----')
      ? 'NEW CERTIFICATE REQUEST'
      : 'CERTIFICATE REQUEST';
    return parseCsrDer(decodePem(pem, label));
  } catch (error) {
    if (error instanceof DerError || error instanceof PemError || error instanceof KeyError)
      throw new CsrError(error.message);
    throw error;
  }
}

function parseCsrDer(der: Buffer): CertificateRequest {
  const outer = children(expectTag(readWhole(der), Tag.sequence, 'certificate request'));
  if (outer.length !== 3) throw new CsrError('it must have three parts');
  const info = children(expectTag(outer[0], Tag.sequence, 'request info'));
  const version = expectTag(info[0], Tag.integer, 'version');
  if (version.content.length !== 1 || version.content[0] !== 0) throw new CsrError('only version 1 is known');
  const subject = decodeName(info[1]);
  const spki = expectTag(info[2], Tag.sequence, 'public key').raw;
  const publicKey = readPublicKey(spki);
  const altNames: AltName[] = [];
  for (const attribute of info[3] === undefined
    ? []
    : children(expectTag(info[3], contextTag(0, true), 'attributes'))) {
    const [type, values] = children(expectTag(attribute, Tag.sequence, 'attribute'));
    if (readOid(type, 'attribute type') !== Oid.extensionRequest) continue;
    const list = children(expectTag(values, Tag.set, 'extension request'))[0];
    if (list === undefined) continue;
    for (const extension of decodeExtensions(list)) {
      if (extension.oid === Oid.subjectAltName) altNames.push(...decodeAltNames(extension.value));
    }
  }
  if (!verifyStructure(outer, publicKey)) throw new CsrError('its signature does not fit its key');
  return { publicKey, publicKeyInfo: Buffer.from(spki), subject, altNames };
}
