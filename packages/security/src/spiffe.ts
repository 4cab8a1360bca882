/** SPIFFE identities of workloads: `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT` (SPIFFE-ID specification; Istio, "Security" concepts). */

/** A workload's identity. Neither part is empty or holds a slash. */
export interface SpiffeIdentity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** Thrown for a text that is no workload identity. */
export class SpiffeError extends Error {
  readonly uri: string;
  constructor(uri: string, reason: string) {
    super(`"${uri.slice(0, 300)}" is not a SPIFFE workload identity: ${reason}`);
    this.name = 'SpiffeError';
    this.uri = uri;
  }
}

export const DEFAULT_TRUST_DOMAIN = 'cluster.local';

/** Trust domains are host names (SPIFFE-ID specification, 2.1), at most 255 bytes. */
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const SEGMENT = /^[A-Za-z0-9._-]{1,253}$/;

export function isTrustDomain(text: string): boolean {
  return TRUST_DOMAIN.test(text);
}

export function formatSpiffe(identity: SpiffeIdentity): string {
  const { trustDomain, namespace, serviceAccount } = identity;
  const uri = `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
  if (!TRUST_DOMAIN.test(trustDomain))
    throw new SpiffeError(uri, 'the trust domain must be of lower-case letters, digits, ".", "-" and "_"');
  if (!SEGMENT.test(namespace)) throw new SpiffeError(uri, 'the namespace is not a Kubernetes name');
  if (!SEGMENT.test(serviceAccount)) throw new SpiffeError(uri, 'the service account is not a Kubernetes name');
  return uri;
}

export function parseSpiffe(uri: string): SpiffeIdentity {
  if (uri.length > 2048) throw new SpiffeError(uri, 'longer than 2048 characters');
  if (!uri.startsWith('spiffe://')) throw new SpiffeError(uri, 'it does not start with spiffe://');
  const [trustDomain = '', ns, namespace = '', sa, serviceAccount = '', ...rest] = uri
    .slice('spiffe://'.length)
    .split('/');
  if (ns !== 'ns' || sa !== 'sa' || rest.length > 0)
    throw new SpiffeError(uri, 'expected spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT');
  const identity = { trustDomain, namespace, serviceAccount };
  formatSpiffe(identity);
  return identity;
}

/** The trust domain of any SPIFFE id, workload or not; undefined when the text is none. */
export function trustDomainOf(uri: string): string | undefined {
  if (!uri.startsWith('spiffe://')) return undefined;
  const domain = uri.slice('spiffe://'.length).split('/', 1)[0] ?? '';
  return TRUST_DOMAIN.test(domain) ? domain : undefined;
}
