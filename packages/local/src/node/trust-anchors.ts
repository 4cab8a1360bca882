import { X509Certificate } from 'node:crypto';
import { labelSelectorMatches } from '@istio-ts/kube/label-selector';
import type { ClusterTrustBundle, TrustBundleSource } from '../controllers/kinds.ts';
import { nameOf } from '../controllers/kinds.ts';
import { ConfigError } from './environment.ts';

/**
 * The anchors of one `clusterTrustBundle` of a projected volume, each once and written alike: of the bundle that it names, or of all of a signer that its
 * selector takes (a selector that is left out takes none). Throws `ConfigError` where there is none, unless it is optional: then the file is empty.
 */
export function trustAnchors(source: TrustBundleSource, bundles: readonly ClusterTrustBundle[]): string {
  const { name, signerName, labelSelector, optional } = source;
  const found = bundles.filter((bundle) =>
    name !== undefined
      ? nameOf(bundle) === name
      : signerName !== undefined &&
        bundle.spec.signerName === signerName &&
        labelSelector !== undefined &&
        labelSelectorMatches(labelSelector, bundle.metadata.labels ?? {}),
  );
  if (found.length === 0 && optional !== true)
    throw new ConfigError(
      name !== undefined
        ? `clustertrustbundle "${name}" not found`
        : `combination of signerName and labelSelector matched zero ClusterTrustBundles: ${signerName ?? ''}`,
    );
  const anchors = new Map<string, string>();
  for (const { spec } of found)
    for (const pem of spec.trustBundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []) {
      const certificate = new X509Certificate(pem);
      anchors.set(certificate.fingerprint256, certificate.toString());
    }
  // By fingerprint: neither the order of the bundles nor that within one means anything.
  return [...anchors]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, text]) => text)
    .join('');
}
