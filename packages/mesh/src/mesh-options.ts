import type { Protocol, TrafficSwitches } from './model.ts';
import type { KeyFetching } from './token-keys.ts';

/** What the process knows about the mesh, beside its objects. */
export interface MeshOptions {
  /** Domain of services: `cluster.local`. */
  readonly domainSuffix: string;
  readonly clusterId: string;
  /** Network of workloads without a label; '' where there is only one. */
  readonly network: string;
  /** PILOT_SCOPE_GATEWAY_TO_NAMESPACE: a Gateway selects proxies of its own namespace only. */
  readonly gatewaysSelectOwnNamespaceOnly: boolean;
  /** PILOT_ENABLE_QUIC_LISTENERS: gateways speak HTTP/3 on ports that their Service has for UDP too. */
  readonly quicListeners: boolean;
  /** PILOT_HTTP10: proxies answer HTTP/1.0, as if each asked for it. */
  readonly http10: boolean;
  /** PILOT_ENABLE_MONGO_FILTER, PILOT_ENABLE_REDIS_FILTER: protocols that have filters; MongoDB's where not given. */
  readonly wireFilters?: readonly Protocol[];
  readonly switches?: TrafficSwitches;
  /** PILOT_ENABLE_SERVICEENTRY_SELECT_PODS: ServiceEntries select pods too; true where not given. */
  readonly entriesSelectPods?: boolean;
  /** PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES: Kubernetes Services select WorkloadEntries too; true where not given. */
  readonly servicesSelectEntries?: boolean;
  /** K8S_INGRESS_NS: where the Service and the pods of the gateway for Kubernetes Ingress are. */
  readonly ingressNamespace: string;
  /** ISTIO_TS_FORBID_FOREIGN_HOSTS: a VirtualService says nothing to other namespaces about hosts that are not of its own. */
  readonly forbidsForeignHosts?: boolean;
  /** PILOT_JWT_ENABLE_REMOTE_JWKS: who fetches keys of tokens; istiod where not given. */
  readonly keyFetching?: KeyFetching;
  /** Whether proxies may fetch no keys from an IP address. */
  readonly forbidsKeysFrom?: (address: string) => boolean;
}

export const defaultMeshOptions: MeshOptions = {
  domainSuffix: 'cluster.local',
  clusterId: 'Kubernetes',
  network: '',
  gatewaysSelectOwnNamespaceOnly: false,
  quicListeners: false,
  http10: false,
  ingressNamespace: 'istio-system',
};
