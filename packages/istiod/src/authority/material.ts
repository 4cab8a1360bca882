import type { AuthorityMaterial } from '@istio-ts/security';

/** The files of a CA exist but cannot be used; the message names the place and the missing file. */
export class MaterialError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'MaterialError';
  }
}

/** Names under which a CA's parts are kept, in a Secret or in a folder; the names of kubernetes.io/tls too. */
export const materialFiles = [
  'ca-cert.pem',
  'ca-key.pem',
  'cert-chain.pem',
  'root-cert.pem',
  'ca-crl.pem',
  'tls.crt',
  'tls.key',
  'ca.crt',
] as const;

export type MaterialFiles = Readonly<Partial<Record<(typeof materialFiles)[number], string>>>;

/**
 * Reads a CA out of its files: `ca-cert.pem`, `ca-key.pem`, `cert-chain.pem` and `root-cert.pem`, or `tls.crt`, `tls.key` and `ca.crt` as cert-manager
 * writes them, where the certificate may be followed by those above it. Raises {@link MaterialError} when a part is missing.
 */
export function readMaterial(files: MaterialFiles, where: string): AuthorityMaterial {
  const certificate = files['ca-cert.pem'] || files['tls.crt'];
  const key = files['ca-key.pem'] || files['tls.key'];
  if (!certificate) throw new MaterialError(`${where} has no ca-cert.pem: it must hold the CA's certificate`);
  if (!key) throw new MaterialError(`${where} has no ca-key.pem: it must hold the CA's private key`);
  return {
    certificate,
    key,
    chain: files['cert-chain.pem'] || (files['ca-cert.pem'] ? '' : certificate),
    root: files['root-cert.pem'] || files['ca.crt'] || certificate,
  };
}
