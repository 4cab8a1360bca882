import {
  CsrError,
  certificatePem,
  isIssuedBy,
  type IssuedCertificate,
  type ParsedCertificate,
  parseCertificates,
  parseCsr,
} from '@istio-ts/security';

/** Subject attributes that a request may have: a signer copies them, and the mesh's metrics believe the others. */
const ORGANIZATION = '2.5.4.10';
const LONGEST_CHAIN = 10;

/** The lifetime in milliseconds to ask another authority for. Raises CsrError. */
export function requestedLifetime(
  ttl: number | undefined,
  { defaultTtlMs, maxTtlMs }: { readonly defaultTtlMs: number; readonly maxTtlMs: number },
): number {
  const wanted = ttl === undefined || ttl <= 0 ? defaultTtlMs : ttl;
  if (!Number.isFinite(wanted) || wanted > maxTtlMs)
    throw new CsrError(
      `the lifetime asked for, ${wanted / 1000} s, is longer than the greatest allowed, ${maxTtlMs / 1000} s`,
    );
  return wanted;
}

/** The key of a request that asks for exactly this SPIFFE id: another authority takes the names out of the request. Raises CsrError. */
export function requestedKey(csr: string, subject: string): Buffer {
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
  return publicKeyInfo;
}

/** Makes of another authority's PEM what a proxy gets. Raises Error for a certificate that is not the one asked for, or that no peer could verify. */
export function examineIssued(
  pem: string,
  wanted: {
    /** SPIFFE id. */
    readonly subject: string;
    readonly publicKeyInfo: Buffer;
    readonly now: Date;
    /** PEM of what it has to lead to; undefined: the roots that the authority gave with it. */
    readonly roots: string | undefined;
  },
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
    wanted.roots ??
    (given.length > 0
      ? given.map(({ der }) => certificatePem(der)).join('')
      : refuse(
          'nothing says which root it leads to: give it in meshConfig.caCertificates (with the signer in certSigners), or have the authority append it',
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
