import type { MeshConfig } from '@istio-ts/api';

/** Trust anchors of the mesh, in PEM, by trust domain; and the revocation list of the mesh's own CA. */
export interface TrustBundles {
  readonly domains: Readonly<Record<string, string>>;
  readonly crl?: string;
}

/** Name of the SDS resource with them; only referred to where `namesAuthorities`. */
export const TRUST_BUNDLE = 'trust-bundle';

/** Whether the mesh configuration names authorities beside the mesh's own (MeshConfig, `caCertificates`): those for signers of Kubernetes are none. */
export function namesAuthorities(mesh: Pick<MeshConfig, 'caCertificates'>): boolean {
  return trustedAuthorities(mesh).length > 0;
}

/** The entries of `caCertificates` that say whom to trust, not how to verify the certificates of a signer. */
export const trustedAuthorities = (mesh: Pick<MeshConfig, 'caCertificates'>) =>
  (mesh.caCertificates ?? []).filter(
    ({ certSigners = [], trustDomains = [] }) => certSigners.length === 0 || trustDomains.length > 0,
  );

/** Trust domains of other meshes whose workloads are admitted. */
export function federatedDomains(
  mesh: Pick<MeshConfig, 'caCertificates' | 'trustDomainAliases'>,
  trustDomain: string,
): readonly string[] {
  const own = new Set([trustDomain, ...(mesh.trustDomainAliases ?? [])]);
  return [...new Set(trustedAuthorities(mesh).flatMap(({ trustDomains = [] }) => trustDomains))].filter(
    (domain) => !own.has(domain),
  );
}
