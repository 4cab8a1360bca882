import { GrpcError } from '@istio-ts/envoy/grpc';
import {
  CsrError,
  certificatePem,
  formatSpiffe,
  isIssuedBy,
  type IssuedCertificate,
  type ParsedCertificate,
  parseCertificates,
  parseCsr,
} from '@istio-ts/security';
import { type KubernetesRequestsOptions, signByKubernetes } from './kubernetes-requests.ts';
import type { CaSigner, CaSigningRequest } from './service.ts';

/** Subject attributes that a request may have: a signer copies them, and the mesh's metrics believe the others. */
const ORGANIZATION = '2.5.4.10';
const LONGEST_CHAIN = 10;

export interface KubernetesSignerOptions extends KubernetesRequestsOptions {
  /** K8S_SIGNER: who signs for proxies that name nobody. */
  readonly defaultSigner: string;
  /** CERT_SIGNER_DOMAIN: the signer that a proxy names is `DOMAIN/NAME`. Empty: proxies may name none. */
  readonly signerDomain: string;
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
  /** PEM of the trust anchors of one signer, as the mesh configuration gives them (`caCertificates[].certSigners`). */
  readonly roots: (signer: string) => string | undefined;
  /** PEM of the trust anchors of every other signer, from a file; undefined where there is none. */
  readonly mountedRoot: () => string | undefined;
}

/**
 * istiod as registration authority (EXTERNAL_CA=ISTIOD_RA_KUBERNETES_API): it authenticates workloads, and signers of the cluster give the certificates.
 * A signer takes the names out of the request, so a request must ask for exactly the identity that was proved; what the signer gives is looked at, too.
 */
export function createKubernetesSigner(options: KubernetesSignerOptions): CaSigner {
  return {
    async sign(request) {
      const ttlMs = lifetime(request, options);
      const subject = formatSpiffe(request.identity);
      const { publicKeyInfo } = checkRequest(request.csr, subject);
      const signer = signerOf(request.certSigner, options);
      const pem = await signByKubernetes({ csr: request.csr, signer, ttlMs, subject }, options);
      try {
        return examine(pem, { signer, subject, publicKeyInfo, now: request.now }, options);
      } catch (error) {
        throw new GrpcError(
          'INTERNAL',
          `the certificate of the signer ${signer} cannot be used: ${error instanceof Error ? error.message : error}`,
        );
      }
    },
  };
}

function lifetime({ ttl }: CaSigningRequest, { defaultTtlMs, maxTtlMs }: KubernetesSignerOptions): number {
  const wanted = ttl === undefined || ttl <= 0 ? defaultTtlMs : ttl;
  if (!Number.isFinite(wanted) || wanted > maxTtlMs)
    throw new CsrError(
      `the lifetime asked for, ${wanted / 1000} s, is longer than the greatest allowed, ${maxTtlMs / 1000} s`,
    );
  return wanted;
}

function checkRequest(csr: string, subject: string): { readonly publicKeyInfo: Buffer } {
  const { altNames, publicKeyInfo, subject: attributes } = parseCsr(csr);
  const [only, ...more] = altNames;
  if (only === undefined || more.length > 0 || only.kind !== 'uri' || only.value !== subject)
    throw new CsrError(
      `it must ask for ${subject}, as its sender was authenticated, and nothing else; it asks for ${altNames.map(({ value }) => value).join(', ') || 'no name'}`.slice(
        0,
        1000,
      ),
    );
  if (attributes.some(({ type, value }) => type !== ORGANIZATION && value !== ''))
    throw new CsrError('its subject must be empty: the identity of a workload is the URI alone');
  return { publicKeyInfo };
}

function signerOf(named: string | undefined, { signerDomain, defaultSigner }: KubernetesSignerOptions): string {
  if (named !== undefined && signerDomain !== '') {
    if (!/^[A-Za-z0-9]([\w.-]{0,251}[A-Za-z0-9])?$/.test(named))
      throw new CsrError(`"${named.slice(0, 100)}" is no name of a signer`);
    return `${signerDomain}/${named}`;
  }
  if (named !== undefined && defaultSigner === '')
    throw new CsrError(
      'it names a signer (ISTIO_META_CERT_SIGNER), but CERT_SIGNER_DOMAIN of istiod does not say of which domain',
    );
  if (defaultSigner === '')
    throw new CsrError(
      'it names no signer: set ISTIO_META_CERT_SIGNER in the proxy metadata (meshConfig.defaultConfig.proxyMetadata), or K8S_SIGNER of istiod',
    );
  return defaultSigner;
}

/** Makes of the signer's PEM what a proxy gets. Raises Error for a certificate that is not the one asked for, or that no peer could verify. */
function examine(
  pem: string,
  wanted: {
    readonly signer: string;
    /** SPIFFE id. */
    readonly subject: string;
    readonly publicKeyInfo: Buffer;
    readonly now: Date;
  },
  options: KubernetesSignerOptions,
): IssuedCertificate {
  const refuse = (reason: string): never => {
    throw new Error(reason);
  };
  const [leaf, ...rest] = parseCertificates(pem);
  if (leaf === undefined) return refuse('it is no certificate in PEM');
  if (leaf.isCa) refuse('it is one of a CA');
  if (!leaf.publicKeyInfo.equals(wanted.publicKeyInfo)) refuse('it is for another key');
  if (leaf.altNames.length !== 1 || leaf.spiffe !== wanted.subject)
    refuse(`it is for ${leaf.altNames.map(({ value }) => value).join(', ') || 'nobody'}, not for ${wanted.subject}`);
  if (leaf.notAfter <= wanted.now) refuse(`it has ended at ${leaf.notAfter.toISOString()}`);
  const given = rest.filter((one) => isIssuedBy(one, one));
  const rootPem =
    options.roots(wanted.signer) ??
    options.mountedRoot() ??
    (given.length > 0
      ? given.map(({ der }) => certificatePem(der)).join('')
      : refuse(
          'nothing says which root it leads to: give it in meshConfig.caCertificates with the signer in certSigners, or have the signer append it',
        ));
  const path = chainTo(leaf, rest, parseCertificates(rootPem));
  if (path === undefined) return refuse('it does not lead to any of its roots');
  const certificate = certificatePem(leaf.der);
  const intermediates = path.slice(1).map(({ der }) => certificatePem(der));
  return {
    certificate,
    chain: certificate + intermediates.join(''),
    root: rootPem,
    response: [certificate, ...intermediates, rootPem],
    notAfter: leaf.notAfter,
  };
}

/** The certificates from the leaf to the last one that a root has issued. */
function chainTo(
  leaf: ParsedCertificate,
  others: readonly ParsedCertificate[],
  roots: readonly ParsedCertificate[],
): readonly ParsedCertificate[] | undefined {
  const path = [leaf];
  while (path.length <= LONGEST_CHAIN) {
    const last = path[path.length - 1] ?? leaf;
    if (roots.some((root) => isIssuedBy(last, root))) return path;
    const next = others.find((one) => one.isCa && !path.includes(one) && isIssuedBy(last, one));
    if (next === undefined) return undefined;
    path.push(next);
  }
  return undefined;
}
