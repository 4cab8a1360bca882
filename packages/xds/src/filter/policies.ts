import type { ConfigListenerFilter, HttpFilter } from '@istio-ts/envoy';
import type { Origin, ProxyScope } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';
import { grpcAuthorizationFilters, httpAuthorizationFilters, networkAuthorizationFilters } from './authorization.ts';
import { type Authorizer, type AuthorizerScope, authorizer } from './external-authorization.ts';
import { tokenFilters, type TokenInput } from './tokens.ts';

/** Filters that the security policies of a workload put before its application. The identical value as long as the policies are. */
export interface InboundPolicies {
  readonly http: readonly HttpFilter[];
  readonly network: readonly ConfigListenerFilter[];
  /** For gRPC servers without a proxy. */
  readonly grpc: readonly HttpFilter[];
  readonly origins: readonly Origin[];
}

interface PolicyInput
  extends Pick<ProxyScope, 'authorizationPolicies' | 'requestAuthentications' | 'mesh' | 'trustDomain'> {
  readonly tokens: readonly HttpFilter[];
  readonly authorizers: string;
}

/** Whom CUSTOM policies ask, as text that is equal while nothing of it changes: services come and go far more often. */
function authorizersOf(scope: AuthorizerScope & Pick<ProxyScope, 'authorizationPolicies'>): string {
  const names = new Set<string>();
  for (const { spec } of scope.authorizationPolicies)
    if (spec.action === 'CUSTOM' && spec.provider?.name) names.add(spec.provider.name);
  return names.size === 0 ? '[]' : JSON.stringify([...names].map((name) => [name, authorizer(scope, name) ?? null]));
}

const combined = memoByInputs(
  ({ authorizationPolicies, requestAuthentications, mesh, trustDomain, tokens, authorizers }: PolicyInput) => [
    authorizationPolicies,
    requestAuthentications,
    mesh,
    trustDomain,
    tokens,
    authorizers,
  ],
  ({ authorizationPolicies, requestAuthentications, mesh, trustDomain, tokens, authorizers }): InboundPolicies => {
    const trustDomains = [...new Set([trustDomain, ...(mesh.trustDomainAliases ?? [])])];
    const found = JSON.parse(authorizers) as readonly (readonly [string, Authorizer | null])[];
    const context = {
      trustDomains,
      authorizers: new Map(found.flatMap(([name, one]) => (one === null ? [] : [[name, one] as const]))),
    };
    return {
      http: [...tokens, ...httpAuthorizationFilters(authorizationPolicies, context)],
      network: networkAuthorizationFilters(authorizationPolicies, context),
      grpc: grpcAuthorizationFilters(authorizationPolicies, trustDomains),
      origins: [...requestAuthentications, ...authorizationPolicies].map((p) => p.origin),
    };
  },
);

/** Filters for RequestAuthentications and AuthorizationPolicies. */
export const inboundPolicies = (
  scope: TokenInput & Pick<ProxyScope, 'authorizationPolicies' | 'trustDomain'>,
): InboundPolicies =>
  combined({
    authorizationPolicies: scope.authorizationPolicies,
    requestAuthentications: scope.requestAuthentications,
    mesh: scope.mesh,
    trustDomain: scope.trustDomain,
    tokens: tokenFilters(scope),
    authorizers: authorizersOf(scope),
  });
