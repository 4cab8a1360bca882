import type { KeyObject } from 'node:crypto';
import { buildCertificate, certificatePem, isIssuedBy, parseCertificates } from './certificate.ts';
import type { CertificateDescription, ParsedCertificate } from './certificate.ts';
import { CsrError, parseCsr } from './csr.ts';
import { encodeName, workloadName } from './name.ts';
import type { WorkloadSubject } from './name.ts';
import { contextTag, sequence, smallInteger, time, tlv, unsignedInteger } from './der.ts';
import { authorityKeyIdentifier, encodeExtension } from './extensions.ts';
import {
  exportPrivateKey,
  generatePrivateKey,
  importPrivateKey,
  keyIdentifier,
  P256,
  publicKeyInfo,
  signatureAlgorithm,
  signStructure,
} from './keys.ts';
import { encodePem } from './pem.ts';
import type { KeyAlgorithm } from './keys.ts';
import type { AltName } from './extensions.ts';
import { Oid } from './oids.ts';
import { formatSpiffe } from './spiffe.ts';
import type { SpiffeIdentity } from './spiffe.ts';

/** Thrown when CA material (the secrets `istio-ca-secret` or `cacerts`) cannot be used; says which file and why. */
export class AuthorityError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AuthorityError';
  }
}

const SECOND = 1000;
const DAY = 24 * 3600 * SECOND;

export const DEFAULT_WORKLOAD_TTL_MS = DAY;
/** Certificates that live longer are refused (Istio: MAX_WORKLOAD_CERT_TTL, 90 days). */
export const DEFAULT_MAX_WORKLOAD_TTL_MS = 90 * DAY;
export const DEFAULT_ROOT_TTL_MS = 3650 * DAY;
/** A certificate is valid from a little before now, for machines whose clocks run behind. */
export const CLOCK_SKEW_MS = 120 * SECOND;

/** Key and certificates of a CA, all PEM; the names of the secrets' files are in the comments. */
export interface AuthorityMaterial {
  /** `ca-cert.pem` */
  readonly certificate: string;
  /** `ca-key.pem` */
  readonly key: string;
  /** `cert-chain.pem`: from the CA's own certificate up to the root, with it or without. Empty for a self-signed CA. */
  readonly chain: string;
  /** `root-cert.pem`: the trust anchors. */
  readonly root: string;
}

export interface SigningRequest {
  /** PEM. */
  readonly csr: string;
  /** Who asks, as authenticated; names in the request itself are ignored. */
  readonly identity: SpiffeIdentity;
  readonly subject?: WorkloadSubject;
  /** Milliseconds. Default 24 hours; cut to the CA's own end. */
  readonly ttl?: number;
  readonly now: Date;
}

export interface ServerCertificateRequest {
  readonly dnsNames: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly algorithm?: KeyAlgorithm;
  readonly ttl?: number;
  readonly now: Date;
}

/** A fresh certificate. `chain` is what the holder presents: its own certificate and the intermediates. */
export interface IssuedCertificate {
  /** PEM of the certificate alone. */
  readonly certificate: string;
  /** PEM, certificate and intermediates. */
  readonly chain: string;
  /** PEM of the trust anchors. */
  readonly root: string;
  /** `IstioCertificateResponse.cert_chain`: certificate, intermediates if any, root; one PEM text each. */
  readonly response: readonly string[];
  readonly notAfter: Date;
}

/** A CA that is ready to sign. */
export interface CertificateAuthority {
  readonly material: AuthorityMaterial;
  /** PEM of the trust anchors (`istio-ca-root-cert`). */
  readonly root: string;
  /** The trust anchor that this CA's certificates lead to. */
  readonly anchor: CertificateDescription;
  /** End of the CA's own certificate. */
  readonly notAfter: Date;
  /** Signs a workload's request. Raises CsrError for a bad request or lifetime, SpiffeError for a bad identity. */
  sign(request: SigningRequest): IssuedCertificate;
  /** Makes a key and a certificate for a server of the control plane. */
  issueServer(request: ServerCertificateRequest): IssuedCertificate & { readonly key: string };
}

export interface RootOptions {
  /** Organisation in the subject: the trust domain. */
  readonly organization: string;
  readonly commonName?: string;
  readonly ttl?: number;
  readonly algorithm?: KeyAlgorithm;
  readonly now: Date;
}

/** Makes a self-signed root (secret `istio-ca-secret`). */
export function createRootCertificate(options: RootOptions): AuthorityMaterial {
  const key = generatePrivateKey(options.algorithm ?? P256);
  const spki = publicKeyInfo(key);
  const subject = [
    { type: Oid.organization, value: options.organization },
    ...(options.commonName === undefined ? [] : [{ type: Oid.commonName, value: options.commonName }]),
  ];
  const certificate = certificatePem(
    buildCertificate({
      kind: 'ca',
      issuerName: encodeName(subject),
      issuerKey: key,
      issuerKeyId: keyIdentifier(spki),
      subject,
      publicKeyInfo: spki,
      altNames: [],
      altNamesCritical: false,
      notBefore: new Date(options.now.getTime() - CLOCK_SKEW_MS),
      notAfter: new Date(options.now.getTime() + (options.ttl ?? DEFAULT_ROOT_TTL_MS)),
    }),
  );
  return { certificate, key: exportPrivateKey(key), chain: '', root: certificate };
}

export interface IntermediateOptions extends RootOptions {
  readonly commonName: string;
}

/** Makes an intermediate CA under `parent`, in the shape of the secret `cacerts`. */
export function createIntermediate(parent: AuthorityMaterial, options: IntermediateOptions): AuthorityMaterial {
  const issuer = loadSigner(parent);
  const key = generatePrivateKey(options.algorithm ?? P256);
  const certificate = certificatePem(
    buildCertificate({
      kind: 'ca',
      issuerName: issuer.certificate.subjectName,
      issuerKey: issuer.key,
      issuerKeyId: issuer.keyId,
      subject: [
        { type: Oid.organization, value: options.organization },
        { type: Oid.commonName, value: options.commonName },
      ],
      publicKeyInfo: publicKeyInfo(key),
      altNames: [],
      altNamesCritical: false,
      notBefore: new Date(options.now.getTime() - CLOCK_SKEW_MS),
      notAfter: new Date(
        Math.min(options.now.getTime() + (options.ttl ?? DEFAULT_ROOT_TTL_MS), issuer.certificate.notAfter.getTime()),
      ),
    }),
  );
  return { certificate, key: exportPrivateKey(key), chain: certificate + parent.chain, root: parent.root };
}

export interface RevocationOptions {
  /** Serial numbers of the certificates that are revoked, hexadecimal. */
  readonly serials: readonly string[];
  /** How long the list is good, milliseconds. */
  readonly ttl: number;
  readonly now: Date;
}

/** Makes the list of revoked certificates of a CA (RFC 5280, 5), PEM: those that it signed itself. Raises AuthorityError for unusable material. */
export function createRevocationList(material: AuthorityMaterial, { serials, ttl, now }: RevocationOptions): string {
  const signer = loadSigner(material);
  const revoked = serials.map((serial) => {
    const hex = serial.replaceAll(':', '').toLowerCase();
    if (!/^[0-9a-f]{1,40}$/.test(hex)) throw new AuthorityError(`"${serial}" is no serial number in hexadecimal`);
    const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
    return sequence(unsignedInteger(bytes), time(now));
  });
  const extensions = sequence(
    authorityKeyIdentifier(signer.keyId),
    // Numbers of lists only ever grow, as time does.
    encodeExtension(
      Oid.crlNumber,
      false,
      unsignedInteger(Buffer.from(now.getTime().toString(16).padStart(12, '0'), 'hex')),
    ),
  );
  const body = sequence(
    smallInteger(1),
    signatureAlgorithm(signer.key).identifier,
    signer.certificate.subjectName,
    time(new Date(now.getTime() - CLOCK_SKEW_MS)),
    time(new Date(now.getTime() + ttl)),
    ...(revoked.length > 0 ? [sequence(...revoked)] : []),
    tlv(contextTag(0, true), extensions),
  );
  return encodePem('X509 CRL', signStructure(body, signer.key));
}

interface Signer {
  readonly certificate: ParsedCertificate;
  readonly key: KeyObject;
  readonly keyId: Buffer;
  readonly anchor: ParsedCertificate;
  /** When the first certificate on the way to the anchor ends, milliseconds since 1970. */
  readonly end: number;
  /** PEM of the certificates between a leaf and the root. */
  readonly intermediates: string;
}

function loadSigner(material: AuthorityMaterial): Signer {
  const read = (what: string, pem: string): readonly ParsedCertificate[] => {
    try {
      return parseCertificates(pem);
    } catch (error) {
      throw new AuthorityError(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const certificate = read('ca-cert.pem', material.certificate)[0];
  if (certificate === undefined) throw new AuthorityError('ca-cert.pem: no certificate found');
  if (!certificate.isCa)
    throw new AuthorityError('ca-cert.pem: the certificate is not one of a CA (basicConstraints CA:TRUE is missing)');
  let key: KeyObject;
  try {
    key = importPrivateKey(material.key);
  } catch (error) {
    throw new AuthorityError(`ca-key.pem: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!publicKeyInfo(key).equals(certificate.publicKeyInfo))
    throw new AuthorityError('ca-key.pem: the key does not belong to the certificate in ca-cert.pem');
  const roots = read('root-cert.pem', material.root);
  if (roots.length === 0) throw new AuthorityError('root-cert.pem: no certificate found');
  const chain = read('cert-chain.pem', material.chain);
  // Every step of the chain has to lead to the next and the last one to a root, else no peer could verify the mesh's certificates.
  const isRoot = (candidate: ParsedCertificate): boolean => roots.some((root) => root.der.equals(candidate.der));
  const path = isRoot(certificate)
    ? []
    : [certificate, ...chain.filter((link) => !link.der.equals(certificate.der) && !isRoot(link))];
  path.forEach((link, index) => {
    const next = path[index + 1];
    const ok = next === undefined ? roots.some((root) => isIssuedBy(link, root)) : isIssuedBy(link, next);
    if (!ok)
      throw new AuthorityError(
        `cert-chain.pem: certificate "${link.subject}" is not issued by ${next === undefined ? 'a certificate of root-cert.pem' : `"${next.subject}"`}`,
      );
  });
  const last = path.at(-1);
  const anchor =
    last === undefined
      ? roots.find((root) => root.der.equals(certificate.der))
      : roots.find((root) => isIssuedBy(last, root));
  if (anchor === undefined) throw new AuthorityError('root-cert.pem: no certificate found');
  return {
    certificate,
    key,
    anchor,
    end: Math.min(...[certificate, ...path, anchor].map(({ notAfter }) => notAfter.getTime())),
    keyId: certificate.subjectKeyId ?? keyIdentifier(certificate.publicKeyInfo),
    // Whoever writes the root into the chain wants it to be shown (Istio's task "Plug in CA Certificates" looks for it there).
    intermediates: [...path, ...(path.length > 0 ? chain.filter(isRoot) : [])]
      .map((link) => certificatePem(link.der))
      .join(''),
  };
}

export interface AuthorityOptions {
  readonly maxTtl?: number;
  readonly defaultTtl?: number;
}

/** Checks the material and makes a CA of it. Raises {@link AuthorityError}. */
export function loadAuthority(material: AuthorityMaterial, options: AuthorityOptions = {}): CertificateAuthority {
  const signer = loadSigner(material);
  const maxTtl = options.maxTtl ?? DEFAULT_MAX_WORKLOAD_TTL_MS;
  const defaultTtl = options.defaultTtl ?? DEFAULT_WORKLOAD_TTL_MS;
  const root = material.root;

  const issue = (
    spki: Buffer,
    subject: Parameters<typeof encodeName>[0],
    altNames: readonly AltName[],
    altNamesCritical: boolean,
    ttl: number,
    now: Date,
  ): IssuedCertificate => {
    const { end } = signer;
    if (now.getTime() >= end) throw new CsrError(`the CA's own certificate expired at ${new Date(end).toISOString()}`);
    const notAfter = new Date(Math.min(now.getTime() + ttl, end));
    const der = buildCertificate({
      kind: 'leaf',
      issuerName: signer.certificate.subjectName,
      issuerKey: signer.key,
      issuerKeyId: signer.keyId,
      subject,
      publicKeyInfo: spki,
      altNames,
      altNamesCritical,
      notBefore: new Date(now.getTime() - CLOCK_SKEW_MS),
      notAfter,
    });
    const certificate = certificatePem(der);
    return {
      certificate,
      chain: certificate + signer.intermediates,
      root,
      response: signer.intermediates === '' ? [certificate, root] : [certificate, signer.intermediates, root],
      notAfter,
    };
  };

  return {
    material,
    root,
    anchor: signer.anchor,
    notAfter: signer.certificate.notAfter,
    sign({ csr, identity, subject, ttl, now }) {
      const lifetime = ttl === undefined || ttl <= 0 ? defaultTtl : ttl;
      if (!Number.isFinite(lifetime) || lifetime > maxTtl) {
        throw new CsrError(
          `the lifetime asked for, ${lifetime / SECOND} s, is longer than the greatest allowed, ${maxTtl / SECOND} s`,
        );
      }
      const request = parseCsr(csr);
      const altNames: readonly AltName[] = [{ kind: 'uri', value: formatSpiffe(identity) }];
      return issue(request.publicKeyInfo, workloadName(subject ?? {}), altNames, true, lifetime, now);
    },
    issueServer({ dnsNames, ipAddresses = [], algorithm, ttl, now }) {
      const key = generatePrivateKey(algorithm ?? P256);
      const altNames: readonly AltName[] = [
        ...dnsNames.map((value) => ({ kind: 'dns', value }) as const),
        ...ipAddresses.map((value) => ({ kind: 'ip', value }) as const),
      ];
      const issued = issue(publicKeyInfo(key), [], altNames, true, ttl ?? 365 * DAY, now);
      return { ...issued, key: exportPrivateKey(key) };
    },
  };
}

/**
 * DNS names under which proxies, agents and the API server reach a control plane (Istio: `istiod` and the older
 * `istio-pilot` service, with and without revision).
 */
export function istiodDnsNames(namespace: string, revision = 'default'): readonly string[] {
  const services = ['istiod', 'istiod-remote', 'istio-pilot'];
  if (revision !== '' && revision !== 'default') services.push(`istiod-${revision}`);
  return services.map((service) => `${service}.${namespace}.svc`);
}
