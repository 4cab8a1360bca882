import type {
  AuthorizationPolicySpec,
  EnvoyFilterSpec,
  GatewaySpec,
  MeshConfig,
  PeerAuthenticationSpec,
  RequestAuthenticationSpec,
  SidecarSpec,
  TelemetrySpec,
  TrafficExtensionSpec,
  WasmPluginSpec,
} from '@istio-ts/api';
import { type Cell, type Collection, type Graph, index, join, mapMany, ordered } from '@istio-ts/collections';
import { createDestinationRules } from './derived/destination-rules.ts';
import { createEndpointSummaries, type EndpointSummaries } from './derived/endpoint-summaries.ts';
import { createEndpoints } from './derived/endpoints.ts';
import { createForeignHosts, type ForeignHost } from './derived/foreign-hosts.ts';
import { createNetworkGateways, createNetworkOf } from './derived/networks.ts';
import { createPatchMetadata } from './derived/patch-metadata.ts';
import { createServices } from './derived/services.ts';
import { createTelemetryProblems } from './derived/telemetry-problems.ts';
import { createVirtualServices } from './derived/virtual-services.ts';
import { createWorkloads } from './derived/workloads.ts';
import type { NamespaceRules } from './destination-rule.ts';
import { createIngressMesh } from './ingress.ts';
import type { SecretFacts } from './kubernetes/facts.ts';
import type { IngressFacts } from './kubernetes/ingress.ts';
import { defaultMeshOptions, type MeshOptions } from './mesh-options.ts';
import type { Config, Service, ServiceEndpoints, TokenKeys, VirtualService, Workload } from './model.ts';
import type { NetworkGateways } from './networks.ts';
import { byAge } from './order.ts';
import type { MeshSources, Problem } from './sources.ts';
import { createTokenKeys, type WantedKeys } from './token-keys.ts';
import type { TrustBundles } from './trust-bundles.ts';

/** The mesh model: everything derived from the sources that does not depend on who asks. All of it is kept up to date incrementally. */
export interface Mesh extends EndpointSummaries {
  readonly graph: Graph;
  readonly options: MeshOptions;
  readonly config: Cell<MeshConfig>;
  /** By `namespace/hostname`. */
  readonly services: Collection<Service>;
  /** All services, oldest first. */
  readonly servicesByAge: Cell<readonly Service[]>;
  /** Services that select workloads, by their namespace. */
  readonly selectingServices: Collection<readonly Service[]>;
  /** By `Kind/namespace/name`. */
  readonly workloads: Collection<Workload>;
  /** By address; workloads in the host's network are left out, for they share theirs. */
  readonly workloadsByAddress: Collection<readonly Workload[]>;
  /** By `namespace/hostname`. */
  readonly endpoints: Collection<ServiceEndpoints>;
  /** Gateways into other networks; empty where there is one network only. */
  readonly networkGateways: Cell<NetworkGateways>;
  /** DNS names among their addresses: the sources want to know what they resolve to. */
  readonly gatewayNames: Cell<readonly string[]>;
  readonly virtualServices: Cell<readonly VirtualService[]>;
  /** By namespace. */
  readonly destinationRules: Collection<NamespaceRules>;
  readonly gateways: Cell<readonly Config<GatewaySpec>[]>;
  /** Kubernetes Ingresses that this mesh serves, by `namespace/name`; their routes are among those above. */
  readonly ingresses: Collection<IngressFacts>;
  /** By namespace, as all below. */
  readonly sidecars: Collection<readonly Config<SidecarSpec>[]>;
  readonly peerAuthentications: Collection<readonly Config<PeerAuthenticationSpec>[]>;
  readonly requestAuthentications: Collection<readonly Config<RequestAuthenticationSpec>[]>;
  /** Keys of tokens that do not stand in their rules, by `keySourceName`. */
  readonly tokenKeys: Collection<TokenKeys>;
  /** Keys that somebody has to fetch into the sources. */
  readonly wantedKeys: Cell<readonly WantedKeys[]>;
  readonly authorizationPolicies: Collection<readonly Config<AuthorizationPolicySpec>[]>;
  readonly telemetries: Collection<readonly Config<TelemetrySpec>[]>;
  readonly envoyFilters: Collection<readonly Config<EnvoyFilterSpec>[]>;
  readonly wasmPlugins: Collection<readonly Config<WasmPluginSpec>[]>;
  readonly trafficExtensions: Collection<readonly Config<TrafficExtensionSpec>[]>;
  /** Names of the node metadata by which EnvoyFilters choose proxies; only these are facts of a proxy beside those that always are. */
  readonly patchMetadata: Cell<readonly string[]>;
  /** Certificates, by `namespace/name`. */
  readonly secrets: Collection<SecretFacts>;
  /** What proxies trust where the mesh configuration names further authorities. */
  readonly trustBundles: Cell<TrustBundles>;
  /** What objects claim of other namespaces, by `Kind/namespace/name`. */
  readonly foreignHosts: Collection<readonly ForeignHost[]>;
  /** Objects that are invalid, by `Kind/namespace/name`. */
  readonly problems: Collection<readonly Problem[]>;
}

const byNamespace = <Spec>(collection: Collection<Config<Spec>>): Collection<readonly Config<Spec>[]> =>
  index(collection, (config) => [config.origin.namespace], { name: `${collection.name} by namespace` });

/** Derives the mesh from its sources. */
export function createMesh(sources: MeshSources, options: Partial<MeshOptions> = {}): Mesh {
  const settings: MeshOptions = { ...defaultMeshOptions, ...options };
  const { domainSuffix } = settings;
  const { graph, meshConfig } = sources;
  const telemetries = byNamespace(sources.configs('Telemetry'));
  const peerAuthentications = byNamespace(sources.configs('PeerAuthentication'));
  const networkOf = createNetworkOf(sources, settings);
  const workloads = createWorkloads(sources, settings, networkOf);
  const workloadsByAddress = index(workloads, (workload) => (workload.hostNetwork ? [] : workload.addresses), {
    name: 'workloads by address',
  });

  const services = createServices(sources, domainSuffix);
  const endpoints = createEndpoints(sources, settings, {
    services,
    workloads,
    workloadsByAddress,
    peerAuthentications,
    networkOf,
  });

  const { tokenKeys, wantedKeys, problems } = createTokenKeys(sources, services, {
    fetching: settings.keyFetching ?? 'istiod',
    domainSuffix,
    forbids: settings.forbidsKeysFrom ?? (() => false),
  });
  const virtualServices = createVirtualServices(sources, domainSuffix);
  const ingress = createIngressMesh(sources, settings);
  // Keys of their own: an Ingress may have the name of a Gateway.
  const gatewaysOfIngresses = mapMany(ingress.gateways, (gateway, key) => [[`Ingress/${key}`, gateway] as const], {
    name: 'Gateways of Ingresses by key',
  });

  return {
    graph,
    options: settings,
    config: meshConfig,
    services,
    servicesByAge: ordered(services, byAge, { name: 'services by age' }),
    selectingServices: index(services, (service) => (service.selector ? [service.namespace] : []), {
      name: 'selecting services',
    }),
    workloads,
    workloadsByAddress,
    endpoints,
    ...createNetworkGateways(sources, domainSuffix),
    ...createEndpointSummaries(services, endpoints),
    virtualServices: ordered(join([virtualServices, ingress.virtualServices]), byAge, {
      name: 'VirtualServices by age',
    }),
    destinationRules: createDestinationRules(sources, domainSuffix),
    gateways: ordered(join([sources.configs('Gateway'), gatewaysOfIngresses]), byAge, { name: 'Gateways by age' }),
    ingresses: ingress.served,
    sidecars: byNamespace(sources.configs('Sidecar')),
    peerAuthentications,
    requestAuthentications: byNamespace(sources.configs('RequestAuthentication')),
    tokenKeys,
    wantedKeys,
    authorizationPolicies: byNamespace(sources.configs('AuthorizationPolicy')),
    telemetries,
    envoyFilters: byNamespace(sources.configs('EnvoyFilter')),
    wasmPlugins: byNamespace(sources.configs('WasmPlugin')),
    trafficExtensions: byNamespace(sources.configs('TrafficExtension')),
    patchMetadata: createPatchMetadata(sources),
    secrets: sources.secrets,
    trustBundles: sources.trustBundles,
    foreignHosts: createForeignHosts(sources, virtualServices, services),
    problems: join([sources.problems, problems, createTelemetryProblems(sources, telemetries)], {
      name: 'problems of objects',
    }),
  };
}
