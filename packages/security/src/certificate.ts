import { createHash, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  children,
  contextTag,
  expectTag,
  readTime,
  readWhole,
  sequence,
  Tag,
  time,
  tlv,
  unsignedInteger,
} from './der.ts';
import {
  authorityKeyIdentifier,
  basicConstraints,
  decodeAltNames,
  decodeExtensions,
  decodeIsCa,
  decodeKeyIdentifier,
  extKeyUsage,
  keyUsage,
  subjectAltName,
  subjectKeyIdentifier,
  VERSION_3,
} from './extensions.ts';
import type { AltName } from './extensions.ts';
import { keyIdentifier, readPublicKey, signatureAlgorithm, signStructure, verifyStructure } from './keys.ts';
import { decodeName, encodeName, formatName, workloadSubjectOf } from './name.ts';
import type { NameAttribute, WorkloadSubject } from './name.ts';
import { Oid } from './oids.ts';
import { decodePem, decodePemBlocks, encodePem } from './pem.ts';

/** Everything that goes into a new certificate. */
export interface CertificateTemplate {
  readonly kind: 'leaf' | 'ca';
  /** Encoded name (RDNSequence) of the issuer. */
  readonly issuerName: Buffer;
  readonly issuerKey: KeyObject;
  readonly issuerKeyId: Buffer;
  readonly subject: readonly NameAttribute[];
  readonly publicKeyInfo: Buffer;
  readonly altNames: readonly AltName[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Critical SANs may not be ignored by a verifier that does not know them. */
  readonly altNamesCritical: boolean;
}

/** Builds and signs an X.509 v3 certificate (RFC 5280); the result is DER. The serial is random, 127 bits. */
export function buildCertificate(template: CertificateTemplate): Buffer {
  const serial = randomBytes(16);
  // Positive and never zero, as RFC 5280, 4.1.2.2, asks.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const extensions = [
    keyUsage(template.kind),
    ...(template.kind === 'leaf' ? [extKeyUsage()] : []),
    basicConstraints(template.kind === 'ca'),
    ...(template.kind === 'ca' ? [subjectKeyIdentifier(keyIdentifier(template.publicKeyInfo))] : []),
    authorityKeyIdentifier(template.issuerKeyId),
    ...(template.altNames.length > 0 ? [subjectAltName(template.altNames, template.altNamesCritical)] : []),
  ];
  const body = sequence(
    VERSION_3,
    unsignedInteger(serial),
    signatureAlgorithm(template.issuerKey).identifier,
    template.issuerName,
    sequence(time(template.notBefore), time(template.notAfter)),
    encodeName(template.subject),
    template.publicKeyInfo,
    tlv(contextTag(3, true), sequence(...extensions)),
  );
  return signStructure(body, template.issuerKey);
}

/** What a certificate says, for people and for decisions about rotation. */
export interface CertificateDescription {
  /** RFC 4514 text, most specific attribute first. */
  readonly subject: string;
  readonly issuer: string;
  readonly workload: WorkloadSubject;
  readonly altNames: readonly AltName[];
  /** The URI among the alternative names, if any. */
  readonly spiffe: string | undefined;
  /** Lower-case hexadecimal without leading zeros, as Envoy and istioctl print it. */
  readonly serial: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly isCa: boolean;
  /** SHA-256 over the DER, lower-case hexadecimal. */
  readonly fingerprint: string;
}

export interface ParsedCertificate extends CertificateDescription {
  readonly der: Buffer;
  readonly issuerName: Buffer;
  readonly subjectName: Buffer;
  readonly publicKeyInfo: Buffer;
  readonly subjectKeyId: Buffer | undefined;
}

/** Reads the first certificate of a PEM text. Raises DerError or PemError. */
export function describeCertificate(pem: string): CertificateDescription {
  return parseCertificate(decodePem(pem, 'CERTIFICATE'));
}

/** Reads all certificates of a bundle, in order. */
export function parseCertificates(pem: string): readonly ParsedCertificate[] {
  return decodePemBlocks(pem, 'CERTIFICATE').map(parseCertificate);
}

export function parseCertificate(der: Buffer): ParsedCertificate {
  const outer = children(expectTag(readWhole(der), Tag.sequence, 'certificate'));
  const all = children(expectTag(outer[0], Tag.sequence, 'certificate body'));
  const fields = all[0]?.tag === contextTag(0, true) ? all.slice(1) : all;
  const [serial, , issuer, validity, subject, spki] = fields;
  const times = children(expectTag(validity, Tag.sequence, 'validity'));
  const list = fields.find((field) => field.tag === contextTag(3, true));
  const extensions = list === undefined ? [] : children(list).flatMap((value) => decodeExtensions(value));
  const extension = (id: string): Buffer | undefined => extensions.find((candidate) => candidate.oid === id)?.value;
  const san = extension(Oid.subjectAltName);
  const constraints = extension(Oid.basicConstraints);
  const keyId = extension(Oid.subjectKeyIdentifier);
  const altNames = san === undefined ? [] : decodeAltNames(san);
  const subjectAttributes = decodeName(subject);
  return {
    der,
    subject: formatName(subjectAttributes),
    issuer: formatName(decodeName(issuer)),
    workload: workloadSubjectOf(subjectAttributes),
    altNames,
    spiffe: altNames.find((name) => name.kind === 'uri')?.value,
    serial: expectTag(serial, Tag.integer, 'serial')
      .content.toString('hex')
      .replace(/^0+(?=.)/, ''),
    notBefore: readTime(times[0], 'notBefore'),
    notAfter: readTime(times[1], 'notAfter'),
    isCa: constraints !== undefined && decodeIsCa(constraints),
    fingerprint: createHash('sha256').update(der).digest('hex'),
    issuerName: expectTag(issuer, Tag.sequence, 'issuer').raw,
    subjectName: expectTag(subject, Tag.sequence, 'subject').raw,
    publicKeyInfo: expectTag(spki, Tag.sequence, 'public key').raw,
    subjectKeyId: keyId === undefined ? undefined : decodeKeyIdentifier(keyId),
  };
}

/** True when `certificate` carries a good signature of `issuer`'s key and names it as issuer. Validity in time is not looked at. */
export function isIssuedBy(certificate: ParsedCertificate, issuer: ParsedCertificate): boolean {
  if (!certificate.issuerName.equals(issuer.subjectName)) return false;
  return verifyStructure(children(readWhole(certificate.der)), readPublicKey(issuer.publicKeyInfo));
}

export function certificatePem(der: Uint8Array): string {
  return encodePem('CERTIFICATE', der);
}
