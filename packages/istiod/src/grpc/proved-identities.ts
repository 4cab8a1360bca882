import { GrpcError, type ServerCall } from '@istio-ts/envoy/grpc';
import { formatSpiffe, type TokenReviewResult, trustDomainOf } from '@istio-ts/security';
import { bearerToken } from './bearer-token.ts';

/** How callers of the discovery services prove who they are. */
export interface Authentication {
  /** Whose token this is. Without it only client certificates count on the encrypted port. */
  readonly authenticateToken?: (token: string) => Promise<TokenReviewResult>;
  readonly trustDomain: string;
  /** Other names of the mesh's trust domain (MeshConfig.trustDomainAliases). */
  readonly trustDomainAliases?: () => readonly string[];
}

/** The SPIFFE identities that a call's connection or token proves; undefined on the plain port. Raises GrpcError UNAUTHENTICATED. */
export async function provedIdentities(
  call: Pick<ServerCall, 'peer' | 'metadata'>,
  { authenticateToken, trustDomain, trustDomainAliases = () => [] }: Authentication,
): Promise<readonly string[] | undefined> {
  const { peer } = call;
  // In plain text nothing is proved: a token could have been overheard, and what it gives (keys of gateways) would be read by all.
  if (!peer.encrypted) return undefined;
  const ours = peer.uris.filter((uri) => isOfTrustDomain(uri, [trustDomain, ...trustDomainAliases()]));
  if (ours.length > 0) return ours;
  const token = bearerToken(call);
  if (token !== undefined && authenticateToken !== undefined) {
    const result = await authenticateToken(token).catch((error: Error) => {
      throw new GrpcError('UNAVAILABLE', `the token cannot be checked now: ${error.message}`);
    });
    if (!result.authenticated) throw new GrpcError('UNAUTHENTICATED', `the token was not accepted: ${result.reason}`);
    const { namespace, serviceAccount } = result;
    return [formatSpiffe({ trustDomain, namespace, serviceAccount })];
  }
  if (peer.certificateError !== undefined)
    throw new GrpcError('UNAUTHENTICATED', `the client certificate does not verify: ${peer.certificateError}`);
  throw new GrpcError(
    'UNAUTHENTICATED',
    peer.uris.length === 0
      ? 'show a client certificate of the mesh or a service account token'
      : `the client certificate is of another trust domain than ${trustDomain}: ${peer.uris.join(', ').slice(0, 300)}`,
  );
}

function isOfTrustDomain(uri: string, trustDomains: readonly string[]): boolean {
  const domain = trustDomainOf(uri);
  return domain !== undefined && trustDomains.includes(domain);
}
