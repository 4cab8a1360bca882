import type { ConfigListenerFilter, HttpFilter } from '@istio-ts/envoy';
import type { Origin, ProxyScope } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';
import { httpRbacFilters, networkRbacFilters } from './authorization.ts';

/** Filters that the security policies of a workload put before its application. The identical value as long as the policies are. */
export interface InboundPolicies {
  readonly http: readonly HttpFilter[];
  readonly network: readonly ConfigListenerFilter[];
  readonly origins: readonly Origin[];
}

type PolicyInput = Pick<ProxyScope, 'authorizationPolicies' | 'mesh' | 'trustDomain'>;

/** Filters for AuthorizationPolicies. */
export const inboundPolicies = memoByInputs(
  ({ authorizationPolicies, mesh, trustDomain }: PolicyInput) => [authorizationPolicies, mesh, trustDomain],
  ({ authorizationPolicies, mesh, trustDomain }): InboundPolicies => {
    const domains = [trustDomain, ...(mesh.trustDomainAliases ?? [])];
    return {
      http: httpRbacFilters(authorizationPolicies, domains),
      network: networkRbacFilters(authorizationPolicies, domains),
      origins: authorizationPolicies.map((p) => p.origin),
    };
  },
);
