import type {
  AuthorizationPolicySpec,
  DestinationRuleSpec,
  EnvoyFilterSpec,
  TrafficExtensionSpec,
  WasmPluginSpec,
  GatewaySpec,
  MeshConfig,
  PeerAuthenticationSpec,
  RequestAuthenticationSpec,
  SidecarSpec,
  TelemetrySpec,
  VirtualServiceSpec,
} from '@istio-ts/api';
import type { EnvoyFeature } from './envoy-features.ts';

/** Names the configuration object that a value came from, so that everything derived can be asked why it is there (design, rule 3). */
export interface Origin {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** One configuration object of the mesh: decoded, defaulted and valid. `createdAt` is in milliseconds since 1970 and decides conflicts: oldest wins, then namespace, then name. */
export interface Config<Spec> {
  readonly origin: Origin;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly spec: Spec;
  /** What the mesh reads of the object's status; only of ServiceEntries and WorkloadEntries. */
  readonly status?: ConfigStatus;
}

/** The parts of a status that configuration depends on. */
export interface ConfigStatus {
  /** Addresses that istiod gave to the hosts of a ServiceEntry. */
  readonly addresses?: readonly { readonly host: string; readonly value: string }[];
  /** What the agent of a WorkloadEntry says of its application; undefined where nobody said anything. */
  readonly healthy?: boolean;
}

/** Application protocol of a port. 'Auto' means that none is declared and the proxy has to sniff. */
export type Protocol =
  | 'HTTP'
  | 'HTTP2'
  | 'GRPC'
  | 'GRPC-Web'
  | 'HTTPS'
  | 'TLS'
  | 'TCP'
  | 'Mongo'
  | 'Redis'
  | 'MySQL'
  | 'UDP'
  | 'HBONE'
  | 'Auto';

export interface ServicePort {
  /** Unique within the service; Kubernetes' port name or, for a nameless port, ''. */
  readonly name: string;
  readonly number: number;
  readonly protocol: Protocol;
  /** Kubernetes' targetPort (number or container port name) or ServiceEntry's; undefined where it equals `number`. */
  readonly targetPort?: number | string;
}

/** How a proxy finds the addresses of a service. */
export type Resolution =
  /** Endpoints are known to the control plane and sent by EDS. */
  | 'static'
  /** Names that the proxy resolves, all addresses used. */
  | 'dns'
  /** Names that the proxy resolves, one address at a time. */
  | 'dns-round-robin'
  /** Names of requests and TLS handshakes, which the proxy resolves when they arrive. */
  | 'dynamic-dns'
  /** The proxy forwards to the address that the client dialled (headless services, ServiceEntry resolution NONE). */
  | 'passthrough'
  /** Kubernetes ExternalName: another name for `externalName`. */
  | 'alias';

/** Who may see an object: everybody, its own namespace, nobody, or these namespaces. */
export type Visibility =
  | { readonly kind: 'public' }
  | { readonly kind: 'none' }
  | { readonly kind: 'namespaces'; readonly namespaces: readonly string[] };

/** Kubernetes' `trafficDistribution`: the same zone first (`PreferClose` is its older name), or the same node and then the same zone. */
export type TrafficDistribution = 'PreferSameZone' | 'PreferSameNode';

export interface Service {
  readonly origin: Origin;
  readonly registry: 'Kubernetes' | 'External';
  /** Fully qualified, lower case; may be a wildcard for a ServiceEntry. */
  readonly hostname: string;
  readonly namespace: string;
  /** Short name: Kubernetes' service name, or the ServiceEntry's name. */
  readonly name: string;
  /** Virtual addresses (ClusterIPs, ServiceEntry addresses, may be CIDRs for TCP); empty for headless services. */
  readonly addresses: readonly string[];
  /** Addresses that istiod gave to a service that has none: in force for proxies whose agent answers DNS, as nobody else learns of them. */
  readonly autoAddresses?: readonly string[];
  readonly ports: readonly ServicePort[];
  readonly resolution: Resolution;
  readonly headless: boolean;
  readonly externalName?: string;
  /** True for ServiceEntry location MESH_EXTERNAL: no sidecar, no auto mTLS. */
  readonly meshExternal: boolean;
  readonly exportTo: Visibility;
  readonly labels: Readonly<Record<string, string>>;
  readonly selector?: Readonly<Record<string, string>>;
  /** SPIFFE identities or DNS names that endpoints may present, beside those of their service accounts. */
  readonly subjectAltNames: readonly string[];
  readonly internalTrafficPolicy?: 'Cluster' | 'Local';
  /** Which endpoints a client prefers by their place, without outlier detection. */
  readonly trafficDistribution?: TrafficDistribution;
  readonly createdAt: number;
}

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

/** A pod or a WorkloadEntry. */
export interface Workload {
  readonly origin: Origin;
  /** Name of the pod or WorkloadEntry. */
  readonly name: string;
  readonly namespace: string;
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** Name of what owns it: Deployment, StatefulSet, ... or its own name. */
  readonly workloadName: string;
  readonly ownerKind: string;
  /** service.istio.io/canonical-name, app.kubernetes.io/name, app label, or workload name. */
  readonly canonicalName: string;
  /** service.istio.io/canonical-revision, app.kubernetes.io/version, version label, or 'latest'. */
  readonly canonicalRevision: string;
  readonly clusterId: string;
  readonly network: string;
  readonly locality: Locality;
  readonly node: string;
  readonly hostNetwork: boolean;
  /** 'istio': has a proxy that terminates mutual TLS (label security.istio.io/tlsMode). */
  readonly tlsMode: 'istio' | 'disabled';
  /** Named container ports: name to number. */
  readonly ports: Readonly<Record<string, number>>;
  /** All container ports declared. */
  readonly containerPorts: readonly number[];
}

/** One address that serves one port of one service. */
export interface Endpoint {
  /** IP address, DNS name, or `unix:///path`. */
  readonly address: string;
  /** Addresses of the same workload in the other family; tried when the first one does not answer. */
  readonly additionalAddresses?: readonly string[];
  /** Name of the pod within a headless service. */
  readonly hostname?: string;
  readonly port: number;
  /** `ServicePort.name` that this endpoint serves. */
  readonly servicePort: string;
  readonly health: 'healthy' | 'unhealthy' | 'draining';
  readonly labels: Readonly<Record<string, string>>;
  readonly locality: Locality;
  readonly network: string;
  readonly clusterId: string;
  readonly weight: number;
  readonly tlsMode: 'istio' | 'disabled';
  /** SPIFFE identity that its certificate carries, where known. */
  readonly identity?: string;
  readonly node: string;
  /** Its address is that of a gateway that leads to workloads of another network. */
  readonly behindGateway?: true;
  /** The workload behind it, where known (telemetry labels). */
  readonly workload?: Workload;
}

/** Endpoints of one service over all its ports; its own value so that a change of endpoints touches nothing else. */
export interface ServiceEndpoints {
  readonly hostname: string;
  readonly namespace: string;
  readonly endpoints: readonly Endpoint[];
}

/** Effective mutual TLS mode of a port or workload after PeerAuthentication's inheritance. */
export type MutualTlsMode = 'DISABLE' | 'PERMISSIVE' | 'STRICT';

/** DestinationRules that name the same host, merged as Istio's documentation says (subsets united, oldest traffic policy wins). */
export interface MergedDestinationRule {
  readonly host: string;
  readonly origins: readonly Origin[];
  readonly namespace: string;
  readonly spec: DestinationRuleSpec;
}

/** A VirtualService with short names resolved to FQDNs, delegates merged in, and `gateways` as `mesh` or `namespace/name`. */
export interface VirtualService extends Config<VirtualServiceSpec> {
  /** The VirtualServices whose routes were merged in. */
  readonly delegates?: readonly Origin[];
}

/** What kind of proxy asks. */
export type ProxyType = 'sidecar' | 'router' | 'waypoint' | 'ztunnel';

/** One port on which the proxy's own workload serves, through one service. */
export interface InboundTarget {
  readonly service: Service;
  readonly port: ServicePort;
  /** Port on which the application listens. */
  readonly targetPort: number;
  /** What is said about connections to the service: it counts for the last step to the application too. Undefined where nothing is said of them. */
  readonly rule?: MergedDestinationRule;
}

/**
 * Everything that one proxy may see: the only input of the generators of `@istio-ts/xds`. Immutable; parts that did not change keep their identity
 * between two scopes, so memoising on identity is safe (design, rules 1 and 2). Collections are ordered by age, then namespace, then name.
 */
export interface ProxyScope {
  readonly proxy: ScopedProxy;
  readonly mesh: MeshConfig;
  /** Visible services, one per hostname. */
  readonly services: readonly Service[];
  readonly serviceByHost: ReadonlyMap<string, Service>;
  /**
   * Addresses of the pods behind visible headless Kubernetes services with TCP or undeclared ports, by hostname: clients dial these, so listeners
   * depend on them. Without an entry a listener for all addresses serves the port.
   */
  readonly headlessAddresses?: ReadonlyMap<string, readonly string[]>;
  /** Visible VirtualServices that name gateway `mesh` (sidecars) or one of the proxy's gateways (routers). */
  readonly virtualServices: readonly VirtualService[];
  /** Keyed by FQDN host (or wildcard host); use `destinationRuleFor` to find the most specific one. */
  readonly destinationRules: ReadonlyMap<string, MergedDestinationRule>;
  /** Gateways whose selector matches the proxy (routers only). */
  readonly gateways: readonly Config<GatewaySpec>[];
  /** What the proxy's own workload serves (sidecars; for routers the ports of its services). */
  readonly inbound: readonly InboundTarget[];
  readonly sidecar: Config<SidecarSpec> | undefined;
  readonly peerAuthentication: EffectivePeerAuthentication;
  readonly requestAuthentications: readonly Config<RequestAuthenticationSpec>[];
  /** Keys of the rules of `requestAuthentications` that do not have them, by `keySourceName`; absent where there is no such rule. */
  readonly tokenKeys?: ReadonlyMap<string, TokenKeys>;
  readonly authorizationPolicies: readonly Config<AuthorizationPolicySpec>[];
  readonly telemetries: readonly Config<TelemetrySpec>[];
  readonly envoyFilters: readonly Config<EnvoyFilterSpec>[];
  readonly wasmPlugins: readonly Config<WasmPluginSpec>[];
  readonly trafficExtensions: readonly Config<TrafficExtensionSpec>[];
  /**
   * Whether a client's sidecar may use mutual TLS to this service port by itself (auto mTLS): true unless PeerAuthentication disables it for the
   * endpoints; whether an endpoint has a proxy is decided per endpoint by its `tlsMode`.
   */
  readonly autoMutualTls: (hostname: string, port: number) => boolean;
  /** Short names (`source.labels`, gateway selectors) of the proxy are in `proxy`; everything about the root namespace is in `mesh.rootNamespace`. */
  readonly trustDomain: string;
}

/** Where a proxy has the keys of an issuer from: as a key set, or by fetching them itself; neither while there are none, and then no token is good. */
export interface TokenKeys {
  readonly keys?: string;
  readonly uri?: string;
}

/** PeerAuthentication that applies to the proxy's workload: the mode of the workload and of single ports. */
export interface EffectivePeerAuthentication {
  readonly mode: MutualTlsMode;
  readonly portModes: ReadonlyMap<number, MutualTlsMode>;
  readonly origins: readonly Config<PeerAuthenticationSpec>['origin'][];
}

/** The facts of a proxy that configuration may depend on. Two proxies with equal facts see the same configuration. */
export interface ScopedProxy {
  readonly type: ProxyType;
  /** Name and address are facts of one proxy only; generators must not read more of the node than is here. */
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly clusterId: string;
  readonly network: string;
  readonly locality: Locality;
  readonly dnsDomain: string;
  /** Real addresses only where traffic is not captured (`interceptionMode` NONE); otherwise one unspecified address per family (`0.0.0.0`, `::`), so that replicas are of one class. */
  readonly ipAddresses: readonly string[];
  readonly workloadName: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly serviceAccount: string;
  readonly istioVersion: string;
  readonly interceptionMode: 'REDIRECT' | 'TPROXY' | 'NONE';
  /** What its Envoy is too old for. */
  readonly lacks?: readonly EnvoyFeature[];
  /** From node metadata; the rest of the metadata is in `metadata`. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Protocols of databases for which it has filters; MongoDB's where not given. */
  readonly wireFilters?: readonly Protocol[];
  readonly switches?: TrafficSwitches;
}

/** Switches of the control plane that change what all proxies get; each has Istio's default where it is not given. */
export interface TrafficSwitches {
  /** PILOT_SIDECAR_USE_REMOTE_ADDRESS: sidecars add the client's address to `x-forwarded-for` of what they send. */
  readonly useRemoteAddress?: boolean;
  /** PILOT_ALLOW_ANY_DYNAMIC_DNS_MAX_HOSTS: how many names a proxy remembers; 1024. */
  readonly dynamicHosts?: number;
  /** PILOT_ENABLE_ALPN_FILTER: clients say by ALPN whether they are sidecars; true. */
  readonly alpnFilter?: boolean;
  /** DISABLE_SHADOW_HOST_SUFFIX is false: mirrored requests go to the host with `-shadow` behind its name; false. */
  readonly shadowSuffix?: boolean;
  /** ENABLE_100_CONTINUE_HEADERS: `Expect: 100-continue` goes to the server, which answers it itself; true. */
  readonly continueHeaders?: boolean;
  /** MAX_CONNECTIONS_PER_SOCKET_EVENT_LOOP: how many connections a listener accepts before other events have their turn; 1, and 0 for all that wait. */
  readonly acceptsAtOnce?: number;
  /** PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT: how long clients of gateways may take for their TLS handshake, in milliseconds; 15000, and 0 for ever. */
  readonly handshakeMs?: number;
  /** PILOT_SEND_UNHEALTHY_ENDPOINTS: proxies know of endpoints that are not ready too, and send nothing to them whatever happens to the others; false. */
  readonly unhealthyEndpoints?: boolean;
  /** PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES: sidecars choose among the pods of headless services instead of going where the client dialled; false. */
  readonly headlessEndpoints?: boolean;
  /** PILOT_FILTER_GATEWAY_CLUSTER_CONFIG: gateways get only clusters that their routes or providers of the mesh lead to; false. */
  readonly filterGatewayClusters?: boolean;
  /** PREFER_DESTINATIONRULE_TLS_FOR_EXTERNAL_SERVICES: towards services outside the mesh a rule's certificates come before those that the container mounts; true. */
  readonly externalRuleTls?: boolean;
  /** PILOT_TRACE_SAMPLING: share of requests with a trace where nothing else is said, in percent; 1. */
  readonly traceSampling?: number;
}
