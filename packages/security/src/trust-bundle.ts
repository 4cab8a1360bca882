import { certificatePem, parseCertificates } from './certificate.ts';
import type { ParsedCertificate } from './certificate.ts';

/** One bundle of trust anchors out of several PEM texts: each certificate once, in the order of its first appearance. Raises PemError or DerError. */
export function mergeBundles(
  bundles: readonly string[],
  keeps: (anchor: ParsedCertificate) => boolean = () => true,
): string {
  const anchors = new Map<string, ParsedCertificate>();
  for (const bundle of bundles)
    for (const anchor of parseCertificates(bundle))
      if (!anchors.has(anchor.fingerprint) && keeps(anchor)) anchors.set(anchor.fingerprint, anchor);
  return [...anchors.values()].map(({ der }) => certificatePem(der)).join('');
}

/** SHA-256 fingerprints of a bundle's certificates. Raises PemError or DerError. */
export function bundleFingerprints(bundle: string): ReadonlySet<string> {
  return new Set(parseCertificates(bundle).map(({ fingerprint }) => fingerprint));
}
