import { type ParsedCertificate, certificatePem, parseCertificates } from '@istio-ts/security';

/** A document that is no SPIFFE bundle; the message says what is wrong with it. */
export class SpiffeBundleError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SpiffeBundleError';
  }
}

export interface SpiffeBundle {
  /** Trust anchors for X.509 identities, PEM. */
  readonly pem: string;
  /** How long the bundle's publisher would have it used before it is asked for again. */
  readonly refreshMs: number | undefined;
}

/** Greatest number of keys taken. */
const MAX_KEYS = 200;

/**
 * Reads a bundle of a trust domain: a JWK set with the anchors of X.509 identities in keys of use `x509-svid`, one certificate each (SPIFFE Trust Domain
 * and Bundle, 4; X.509-SVID, 6). Raises {@link SpiffeBundleError}.
 */
export function parseSpiffeBundle(text: string): SpiffeBundle {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new SpiffeBundleError('the bundle is no JSON');
  }
  const fields = (typeof document === 'object' && document !== null ? document : {}) as Readonly<
    Record<string, unknown>
  >;
  if (!Array.isArray(fields.keys)) throw new SpiffeBundleError('the bundle has no list of keys');
  if (fields.keys.length > MAX_KEYS) throw new SpiffeBundleError(`the bundle has more than ${MAX_KEYS} keys`);
  const anchors = fields.keys.flatMap((key: unknown, index): readonly ParsedCertificate[] => {
    const { use, x5c } = (typeof key === 'object' && key !== null ? key : {}) as Readonly<Record<string, unknown>>;
    if (use !== 'x509-svid') return [];
    if (!Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== 'string')
      throw new SpiffeBundleError(`keys[${index}].x5c: one certificate is expected`);
    try {
      return parseCertificates(certificatePem(Buffer.from(x5c[0], 'base64')));
    } catch (error) {
      throw new SpiffeBundleError(
        `keys[${index}].x5c: no certificate: ${error instanceof Error ? error.message : error}`,
      );
    }
  });
  if (anchors.length === 0) throw new SpiffeBundleError('the bundle has no key of use x509-svid');
  const hint = fields.spiffe_refresh_hint;
  return {
    pem: anchors.map(({ der }) => certificatePem(der)).join(''),
    refreshMs: typeof hint === 'number' && Number.isFinite(hint) && hint > 0 ? hint * 1000 : undefined,
  };
}
