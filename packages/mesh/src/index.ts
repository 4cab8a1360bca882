/** The mesh model: from Kubernetes objects and Istio's kinds to plain, validated data, and what each proxy may see of it. */
export { destinationRuleFor } from './destination-rule.ts';
export { hostCovers, hostsOverlap, isWildcard, moreSpecificHost, resolveHost } from './host.ts';
export { spiffeIdentity } from './identity.ts';
export type { SecretFacts } from './kubernetes/facts.ts';
export { watchMesh } from './kubernetes/watch.ts';
export { type Lease, Leases } from './leases.ts';
export { formatLocality, noLocality, parseLocality } from './locality.ts';
export { createMesh, type Mesh } from './mesh.ts';
export { rootNamespaceOf, trustDomainOf } from './mesh-config.ts';
export { defaultMeshOptions, type MeshOptions } from './mesh-options.ts';
export * from './model.ts';
export { byAge, byName } from './order.ts';
export { isHttp, isHttp2, parseProtocol } from './protocol.ts';
export { factsKey, type ProxyDescription, type ProxyFacts, proxyFacts } from './proxy.ts';
export { Scopes } from './scope.ts';
export { isEmptySelector, selectorMatches } from './selector.ts';
export { serviceKey } from './service.ts';
export {
  admitsHost,
  type Egress,
  type EgressHost,
  type EgressPort,
  egressHosts,
  hasOwnPort,
  splitEgress,
} from './sidecar.ts';
export {
  type ConfigKinds,
  MeshSources,
  type MeshSourcesOptions,
  meshResources,
  objectKey,
  type Problem,
} from './sources.ts';
export * from './trust-bundles.ts';
export { destinationHosts, meshGateway } from './virtual-service.ts';
export { visibilityOf, visibleTo } from './visibility.ts';
export { autoAddressesOf, autoAllocateLabel, wantsAutoAddresses, withAutoAddresses } from './auto-addresses.ts';
export type { HeadlessPod } from './endpoints.ts';
export { type KnownName, nameTable } from './name-table.ts';
export { entryIsReady, healthChecksAnnotation } from './workload.ts';
export { type NetworkGateway, type NetworkGateways, networkProblems } from './networks.ts';
export { inNetworkView, type NetworkPlace, requestedNetworks, throughGateways } from './split-horizon.ts';
export { canonicalKeySet, KeySetError, verifiesNothing } from './key-set.ts';
export {
  type FetchedKeys,
  type KeyFetching,
  keySourceName,
  serverOf,
  serviceHostOf,
  type WantedKeys,
} from './token-keys.ts';
