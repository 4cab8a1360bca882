import type { ProxyScope, Service } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';
import { destinationHosts, knownHost } from '../route/destination.ts';

type Reading = Pick<
  ProxyScope,
  'services' | 'serviceByHost' | 'destinationRules' | 'virtualServices' | 'requestAuthentications' | 'mesh'
>;

/** Hosts of all fields `service` of a provider, which are `NAMESPACE/HOST` or `HOST`. */
function* providerHosts(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'service' && typeof inner === 'string') yield inner.slice(inner.indexOf('/') + 1);
    else yield* providerHosts(inner);
  }
}

/** Hosts that some route of the proxy leads to, that a provider of the mesh is, or that has keys of tokens. */
function* reachedHosts(scope: Reading): Generator<string> {
  for (const virtualService of scope.virtualServices) yield* destinationHosts(virtualService);
  yield* providerHosts(scope.mesh.extensionProviders);
  for (const { spec } of scope.requestAuthentications)
    for (const { jwksUri } of spec.jwtRules ?? []) {
      const host = jwksUri ? URL.parse(jwksUri)?.hostname : undefined;
      if (host) yield host;
    }
}

const reachedServices = memoByInputs(
  (scope: Reading) => [
    scope.services,
    scope.virtualServices,
    scope.destinationRules,
    scope.serviceByHost,
    scope.requestAuthentications,
    scope.mesh,
  ],
  (scope): readonly Service[] => {
    const reached = new Set<Service | undefined>();
    for (const host of reachedHosts(scope)) reached.add(knownHost(scope, host.toLowerCase()).service);
    return scope.services.filter((service) => reached.has(service));
  },
);

/**
 * The scope with only the services that a gateway may ever send something to, where the control plane is to leave out the others
 * (PILOT_FILTER_GATEWAY_CLUSTER_CONFIG); the identical scope for other proxies. Clusters that only an EnvoyFilter names are among those left out.
 */
export function withReachedServices<S extends Reading & Pick<ProxyScope, 'proxy'>>(scope: S): S {
  if (scope.proxy.type !== 'router' || scope.proxy.switches?.filterGatewayClusters !== true) return scope;
  return { ...scope, services: reachedServices(scope) };
}
