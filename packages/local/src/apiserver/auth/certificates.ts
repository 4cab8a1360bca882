import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import {
  bitString,
  boolean,
  der,
  explicit,
  integer,
  octetString,
  oid,
  sequence,
  set,
  time,
  utf8String,
} from './der.ts';

export interface KeyAndCertificate {
  /** PEM, PKCS #8. */
  readonly key: string;
  /** PEM. */
  readonly certificate: string;
}

export interface CertificateRequest {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  /** DNS names and IP addresses. */
  readonly sans?: readonly string[];
  readonly usage: 'ca' | 'server' | 'client';
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));

function name(commonName: string, organizations: readonly string[]): Buffer {
  const attributes = organizations.map((organization) => set(sequence(oid('2.5.4.10'), utf8String(organization))));
  return sequence(...attributes, set(sequence(oid('2.5.4.3'), utf8String(commonName))));
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const groups = address.includes('::')
    ? [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right]
    : left;
  const bytes = Buffer.alloc(16);
  groups.forEach((group, index) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  });
  return bytes;
}

function subjectAlternativeName(san: string): Buffer {
  if (isIPv4(san) || isIPv6(san)) return der(0x87, addressBytes(san));
  return der(0x82, Buffer.from(san));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(value));
}

function extensions(request: CertificateRequest): Buffer {
  const list = [
    extension('2.5.29.19', true, request.usage === 'ca' ? sequence(boolean(true)) : sequence()),
    request.usage === 'ca'
      ? extension('2.5.29.15', true, bitString(Buffer.from([0b1010_0110]), 1))
      : extension('2.5.29.15', true, bitString(Buffer.from([0b1010_0000]), 5)),
  ];
  if (request.usage === 'server') list.push(extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'))));
  if (request.usage === 'client') list.push(extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.2'))));
  if (request.sans !== undefined && request.sans.length > 0) {
    list.push(extension('2.5.29.17', false, sequence(...request.sans.map(subjectAlternativeName))));
  }
  return explicit(3, sequence(...list));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

function signCertificate(
  request: CertificateRequest,
  publicKey: KeyObject,
  issuer: Buffer,
  issuerKey: KeyObject,
): string {
  const serial = randomBytes(16);
  serial[0] = (serial[0] ?? 0) & 0x7f;
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serial),
    ECDSA_SHA256,
    issuer,
    sequence(time(request.notBefore), time(request.notAfter)),
    name(request.commonName, request.organizations ?? []),
    publicKey.export({ type: 'spki', format: 'der' }),
    extensions(request),
  );
  const signature = sign('sha256', body, issuerKey);
  return pem('CERTIFICATE', sequence(body, ECDSA_SHA256, bitString(signature)));
}

/** A new key (P-256) with a certificate; self-signed without an issuer. The issuer's subject must have been made by this function. */
export function makeCertificate(
  request: CertificateRequest,
  issuer?: KeyAndCertificate & { readonly commonName: string },
): KeyAndCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuerKey = issuer === undefined ? privateKey : createPrivateKey(issuer.key);
  const issuerName =
    issuer === undefined ? name(request.commonName, request.organizations ?? []) : name(issuer.commonName, []);
  return {
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    certificate: signCertificate(request, publicKey, issuerName, issuerKey),
  };
}

/** True when the certificate can still be used for a day and covers all of `sans`. */
export function stillGood(certificate: string, sans: readonly string[], now: Date): boolean {
  try {
    const parsed = new X509Certificate(certificate);
    if (Date.parse(parsed.validTo) < now.getTime() + 86_400_000) return false;
    return sans.every((san) =>
      isIPv4(san) || isIPv6(san) ? parsed.checkIP(san) !== undefined : parsed.checkHost(san) !== undefined,
    );
  } catch {
    // Damaged: a new one is made.
    return false;
  }
}

export function publicKeyOf(key: string): KeyObject {
  return createPublicKey(key);
}
