import { GrpcError } from '@istio-ts/envoy/grpc';
import { CsrError, formatSpiffe } from '@istio-ts/security';
import { type KubernetesRequestsOptions, signByKubernetes } from './kubernetes-requests.ts';
import { examineIssued, requestedKey, requestedLifetime } from './registration.ts';
import type { CaSigner } from './service.ts';

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
      const ttlMs = requestedLifetime(request.ttl, options);
      const subject = formatSpiffe(request.identity);
      const publicKeyInfo = requestedKey(request.csr, subject);
      const signer = signerOf(request.certSigner, options);
      const pem = await signByKubernetes({ csr: request.csr, signer, ttlMs, subject }, options);
      try {
        return examineIssued(pem, {
          subject,
          publicKeyInfo,
          now: request.now,
          roots: options.roots(signer) ?? options.mountedRoot(),
        });
      } catch (error) {
        throw new GrpcError(
          'INTERNAL',
          `the certificate of the signer ${signer} cannot be used: ${error instanceof Error ? error.message : error}`,
        );
      }
    },
  };
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
