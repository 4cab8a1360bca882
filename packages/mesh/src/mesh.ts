import type {
  AuthorizationPolicySpec,
  EnvoyFilterSpec,
  TrafficExtensionSpec,
  WasmPluginSpec,
  GatewaySpec,
  MeshConfig,
  PeerAuthenticationSpec,
  RequestAuthenticationSpec,
  SidecarSpec,
  TelemetrySpec,
} from '@istio-ts/api';
import {
  type Cell,
  type Collection,
  cell,
  type Fetch,
  type Graph,
  index,
  join,
  map,
  mapMany,
  ordered,
} from '@istio-ts/collections';
import { type NamespaceRules, mergeRules, namespaceRules, ruleGroupKey } from './destination-rule.ts';
import {
  type HeadlessPod,
  identitiesOf,
  type EndpointContext,
  listedEndpoints,
  mutualTlsPorts,
  podsOf,
  selectedEndpoints,
  sliceEndpoints,
} from './endpoints.ts';
import { createIngressMesh } from './ingress.ts';
import type { SecretFacts } from './kubernetes/facts.ts';
import type { TrustBundles } from './trust-bundles.ts';
import type { IngressFacts } from './kubernetes/ingress.ts';
import type {
  Config,
  Endpoint,
  Protocol,
  Service,
  ServiceEndpoints,
  TokenKeys,
  TrafficSwitches,
  VirtualService,
  Workload,
} from './model.ts';
import {
  gatewayNames,
  type NetworkGateways,
  type NetworkOf,
  networkGateways,
  networkLabel,
  networkLookup,
} from './networks.ts';
import { byAge } from './order.ts';
import { effectivePeerAuthentication } from './peer-authentication.ts';
import { selectorMatches } from './selector.ts';
import { kubernetesService, serviceKey } from './service.ts';
import { serviceEntryServices } from './service-entry.ts';
import { type MeshSources, objectKey, type Problem } from './sources.ts';
import { createTokenKeys, type KeyFetching, type WantedKeys } from './token-keys.ts';
import { resolveVirtualService } from './virtual-service.ts';
import { entryIsReady, podWorkload, workloadEntryWorkload } from './workload.ts';

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

/** The mesh model: everything derived from the sources that does not depend on who asks. All of it is kept up to date incrementally. */
export interface Mesh {
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
  /** Pods of headless services of Kubernetes, by `namespace/hostname`: their addresses are what clients dial. */
  readonly headlessPods: Collection<readonly HeadlessPod[]>;
  /** Identities behind a service, by `namespace/hostname`; changes far less often than its endpoints. */
  readonly identities: Collection<readonly string[]>;
  /** Names of the ports of a service whose endpoints all take mutual TLS, by `namespace/hostname`. */
  readonly mutualTlsPorts: Collection<readonly string[]>;
  /** Endpoints of the services whose addresses the proxy itself resolves: they are part of a cluster. By `namespace/hostname`. */
  readonly resolvedByProxy: Collection<ServiceEndpoints>;
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
  /** Objects that are invalid, by `Kind/namespace/name`. */
  readonly problems: Collection<readonly Problem[]>;
}

export const defaultRootNamespace = 'istio-system';
export const rootNamespaceOf = (config: MeshConfig): string => config.rootNamespace || defaultRootNamespace;
export const trustDomainOf = (config: MeshConfig): string => config.trustDomain || 'cluster.local';

const byNamespace = <Spec>(collection: Collection<Config<Spec>>): Collection<readonly Config<Spec>[]> =>
  index(collection, (config) => [config.origin.namespace], { name: `${collection.name} by namespace` });

/** Derives the mesh from its sources. */
export function createMesh(sources: MeshSources, options: Partial<MeshOptions> = {}): Mesh {
  const settings: MeshOptions = { ...defaultMeshOptions, ...options };
  const { domainSuffix } = settings;
  const { graph, meshConfig } = sources;
  const peerAuthentications = byNamespace(sources.configs('PeerAuthentication'));
  const networkOf = createNetworkOf(sources, settings);
  const workloads = createWorkloads(sources, settings, networkOf);
  const workloadsByAddress = index(workloads, (workload) => (workload.hostNetwork ? [] : workload.addresses), {
    name: 'workloads by address',
  });

  const kubernetes = map(
    sources.services,
    (facts, _key, fetch) => {
      const config = fetch.value(meshConfig);
      return kubernetesService(facts, config, domainSuffix, trustDomainOf(config));
    },
    { name: 'services of Kubernetes' },
  );
  const byHost = mapMany(kubernetes, (service) => [[serviceKey(service), service] as const], {
    name: 'services of Kubernetes by host',
  });
  const external = mapMany(
    sources.configs('ServiceEntry'),
    (entry, _key, fetch) =>
      serviceEntryServices(
        entry,
        fetch.value(meshConfig),
        () => fetch.get(sources.namespaces, entry.origin.namespace)?.labels ?? {},
      ).map((service) => [serviceKey(service), service] as const),
    { name: 'services of ServiceEntries' },
  );
  const services = join([byHost, external], { name: 'services' });
  const endpoints = createEndpoints(sources, settings, {
    services,
    workloads,
    workloadsByAddress,
    peerAuthentications,
    networkOf,
  });

  // Hardly any Service is a network's gateway: the others are not looked at again.
  const networkServices = map(
    sources.services,
    (service) => (service.labels[networkLabel] === undefined ? undefined : service),
    { name: 'services that lead into networks' },
  );
  const gatewaySources = (fetch: Fetch) => ({
    labelled: fetch.all(networkServices).values(),
    networks: fetch.value(sources.meshNetworks),
    nodes: () => fetch.all(sources.nodes).values(),
    serviceOf: (host: string) => {
      const [name = '', namespace = '', ...rest] = host.toLowerCase().split('.');
      const isService = rest.length === 0 || rest.join('.') === `svc.${domainSuffix}`;
      return isService ? fetch.get(sources.services, objectKey(namespace, name)) : undefined;
    },
  });
  const headlessPods = map(
    services,
    (service, key, fetch) => (service.headless ? podsOf(fetch.get(endpoints, key)?.endpoints ?? []) : undefined),
    { name: 'pods of headless services' },
  );
  const identities = map(
    services,
    (service, key, fetch) => {
      const found = identitiesOf(service, fetch.get(endpoints, key)?.endpoints ?? []);
      return found.length > 0 ? found : undefined;
    },
    { name: 'identities' },
  );
  const portsWithMutualTls = map(
    services,
    (_service, key, fetch) => {
      const ports = mutualTlsPorts(fetch.get(endpoints, key)?.endpoints ?? []);
      return ports.length > 0 ? ports : undefined;
    },
    { name: 'ports with mutual TLS' },
  );
  const resolvedByProxy = map(
    services,
    (service, key, fetch) =>
      service.resolution === 'dns' || service.resolution === 'dns-round-robin' ? fetch.get(endpoints, key) : undefined,
    { name: 'endpoints that proxies resolve' },
  );

  const rawVirtualServices = sources.configs('VirtualService');
  const defaultVirtualServiceExport = cell(
    graph,
    (fetch) => fetch.value(meshConfig).defaultVirtualServiceExportTo ?? [],
    { name: 'default export of VirtualServices' },
  );
  const virtualServices = map(
    rawVirtualServices,
    (config, _key, fetch) =>
      resolveVirtualService(
        config,
        (namespace, name) => fetch.get(rawVirtualServices, objectKey(namespace, name)),
        domainSuffix,
        fetch.value(defaultVirtualServiceExport),
      ),
    { name: 'resolved VirtualServices' },
  );

  const defaultRuleExport = cell(graph, (fetch) => fetch.value(meshConfig).defaultDestinationRuleExportTo ?? [], {
    name: 'default export of DestinationRules',
  });
  const ruleGroups = map(
    createRuleGroups(sources, domainSuffix, defaultRuleExport),
    (configs, _key, fetch) => mergeRules(configs, domainSuffix, fetch.value(defaultRuleExport)),
    { name: 'merged DestinationRules' },
  );
  const destinationRules = map(
    index(ruleGroups, (group) => [group.rule.namespace], { name: 'merged DestinationRules by namespace' }),
    (groups) => namespaceRules(groups),
    { name: 'DestinationRules of namespaces' },
  );

  const { tokenKeys, wantedKeys, problems } = createTokenKeys(sources, services, {
    fetching: settings.keyFetching ?? 'istiod',
    domainSuffix,
    forbids: settings.forbidsKeysFrom ?? (() => false),
  });
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
    networkGateways: cell(
      graph,
      (fetch) =>
        networkGateways({
          ...gatewaySources(fetch),
          resolved: (name) => fetch.get(sources.resolvedNames, name) ?? [],
        }),
      { name: 'gateways of networks' },
    ),
    gatewayNames: cell(graph, (fetch) => gatewayNames(gatewaySources(fetch)), {
      name: 'names of gateways of networks',
    }),
    headlessPods,
    identities,
    mutualTlsPorts: portsWithMutualTls,
    resolvedByProxy,
    virtualServices: ordered(join([virtualServices, ingress.virtualServices]), byAge, {
      name: 'VirtualServices by age',
    }),
    destinationRules,
    gateways: ordered(join([sources.configs('Gateway'), gatewaysOfIngresses]), byAge, { name: 'Gateways by age' }),
    ingresses: ingress.served,
    sidecars: byNamespace(sources.configs('Sidecar')),
    peerAuthentications,
    requestAuthentications: byNamespace(sources.configs('RequestAuthentication')),
    tokenKeys,
    wantedKeys,
    authorizationPolicies: byNamespace(sources.configs('AuthorizationPolicy')),
    telemetries: byNamespace(sources.configs('Telemetry')),
    envoyFilters: byNamespace(sources.configs('EnvoyFilter')),
    wasmPlugins: byNamespace(sources.configs('WasmPlugin')),
    trafficExtensions: byNamespace(sources.configs('TrafficExtension')),
    patchMetadata: createPatchMetadata(sources),
    secrets: sources.secrets,
    trustBundles: sources.trustBundles,
    problems: join([sources.problems, problems], { name: 'problems of objects' }),
  };
}

function createPatchMetadata(sources: MeshSources): Cell<readonly string[]> {
  const named = mapMany(
    sources.configs('EnvoyFilter'),
    ({ spec }, key) =>
      (spec.configPatches ?? [])
        .flatMap(({ match }) => Object.keys(match?.proxy?.metadata ?? {}))
        .map((name) => [`${key} ${name}`, name] as const),
    { name: 'metadata that EnvoyFilters match' },
  );
  const byName = index(named, (name) => [name], { name: 'metadata that EnvoyFilters match by name' });
  return ordered(
    map(byName, (_members, name) => name, { name: 'names of metadata that EnvoyFilters match' }),
    (a, b) => (a < b ? -1 : 1),
    { name: 'metadata of patches' },
  );
}

/**
 * The network of workloads that no label of their own or of their namespace names one for: that of the control plane's namespace, else what the mesh
 * networks say of the cluster and of the address.
 */
function createNetworkOf(sources: MeshSources, options: MeshOptions): Cell<NetworkOf> {
  const ofCluster = cell(
    sources.graph,
    (fetch) => {
      const root = rootNamespaceOf(fetch.value(sources.meshConfig));
      return fetch.get(sources.namespaces, root)?.labels[networkLabel] || options.network;
    },
    { name: 'network of the cluster' },
  );
  return cell(
    sources.graph,
    (fetch): NetworkOf => {
      const network = fetch.value(ofCluster);
      return network === '' ? networkLookup(fetch.value(sources.meshNetworks), options.clusterId) : () => network;
    },
    { name: 'networks of addresses' },
  );
}

function createWorkloads(sources: MeshSources, options: MeshOptions, networkOf: Cell<NetworkOf>): Collection<Workload> {
  const pods = mapMany(
    sources.pods,
    (pod, key, fetch) => {
      if (pod.finished) return [];
      const workload = podWorkload(
        pod,
        fetch.get(sources.nodes, pod.node),
        fetch.get(sources.namespaces, pod.origin.namespace),
        { clusterId: options.clusterId, networkOf: fetch.value(networkOf) },
      );
      return [[`Pod/${key}`, workload] as const];
    },
    { name: 'workloads of pods' },
  );
  const entries = mapMany(
    sources.configs('WorkloadEntry'),
    (entry, key, fetch) => {
      const cluster = { clusterId: options.clusterId, networkOf: fetch.value(networkOf) };
      return [[`WorkloadEntry/${key}`, workloadEntryWorkload(entry, cluster)] as const];
    },
    { name: 'workloads of WorkloadEntries' },
  );
  return join([pods, entries], { name: 'workloads' });
}

/** DestinationRules that are merged with each other. */
function createRuleGroups(sources: MeshSources, domainSuffix: string, defaultExport: Cell<readonly string[]>) {
  const keyed = map(
    sources.configs('DestinationRule'),
    (config, _key, fetch) => ({ config, group: ruleGroupKey(config, domainSuffix, fetch.value(defaultExport)) }),
    { name: 'DestinationRules with their groups' },
  );
  return map(
    index(keyed, ({ group }) => [group], { name: 'DestinationRules by group' }),
    (members) => members.map(({ config }) => config),
    { name: 'groups of DestinationRules' },
  );
}

interface EndpointInputs {
  readonly services: Collection<Service>;
  readonly workloads: Collection<Workload>;
  readonly workloadsByAddress: Collection<readonly Workload[]>;
  readonly peerAuthentications: Collection<readonly Config<PeerAuthenticationSpec>[]>;
  readonly networkOf: Cell<NetworkOf>;
}

function createEndpoints(
  sources: MeshSources,
  options: MeshOptions,
  inputs: EndpointInputs,
): Collection<ServiceEndpoints> {
  const { services, workloads, workloadsByAddress, peerAuthentications, networkOf } = inputs;
  const slices = index(
    sources.endpointSlices,
    (slice) => (slice.service === '' ? [] : [objectKey(slice.namespace, slice.service)]),
    {
      name: 'endpoint slices by service',
    },
  );
  const entries = sources.configs('WorkloadEntry');
  const serviceEntries = sources.configs('ServiceEntry');
  const workloadsByNamespace = index(workloads, (workload) => [workload.namespace], { name: 'workloads by namespace' });
  const entryWorkloads = index(
    workloads,
    (workload) => (workload.origin.kind === 'WorkloadEntry' ? [workload.namespace] : []),
    {
      name: 'WorkloadEntries by namespace',
    },
  );
  // Hardly any mesh turns mutual TLS off by policy; endpoints depend on the policies of namespaces that do.
  const disabling = map(
    peerAuthentications,
    (policies) => (policies.some(({ spec }) => turnsOff(spec)) ? policies : undefined),
    { name: 'PeerAuthentications of namespaces that turn mutual TLS off' },
  );

  return map(
    services,
    (service, _key, fetch) => {
      const config = fetch.value(sources.meshConfig);
      const root = rootNamespaceOf(config);
      const context: EndpointContext = {
        trustDomain: trustDomainOf(config),
        clusterId: options.clusterId,
        networkOf: fetch.value(networkOf),
        mutualTlsDisabled: (workload, port) => {
          const off = [root, workload.namespace].some((namespace) => fetch.get(disabling, namespace) !== undefined);
          if (!off) return false;
          const policies = [...new Set([root, workload.namespace])].flatMap(
            (namespace) => fetch.get(peerAuthentications, namespace) ?? [],
          );
          const effective = effectivePeerAuthentication(policies, workload, root);
          return (effective.portModes.get(port) ?? effective.mode) === 'DISABLE';
        },
      };
      const selected = (candidates: readonly Workload[], selector: Readonly<Record<string, string>>) =>
        selectedEndpoints(
          service,
          candidates
            .filter((workload) => selectorMatches(selector, workload.labels))
            .map((workload) => {
              const key = objectKey(workload.namespace, workload.name);
              if (workload.origin.kind === 'WorkloadEntry') {
                const entry = fetch.get(entries, key);
                return { workload, ready: entry !== undefined && entryIsReady(entry), entry: entry?.spec };
              }
              const pod = fetch.get(sources.pods, key);
              return { workload, ready: pod?.ready === true && !pod.terminating, entry: undefined };
            }),
          context,
        );

      let endpoints: readonly Endpoint[];
      if (service.registry === 'Kubernetes') {
        const name = objectKey(service.namespace, service.name);
        endpoints = sliceEndpoints(
          service,
          fetch.get(slices, name) ?? [],
          fetch.get(sources.services, name)?.publishNotReadyAddresses === true,
          fetch.get(sources.services, name)?.ipFamilies[0] === 'IPv6',
          (namespace, pod) => fetch.get(workloads, `Pod/${namespace}/${pod}`),
          (address) => fetch.get(workloadsByAddress, address)?.[0],
          context,
        );
        if (service.selector && options.servicesSelectEntries !== false) {
          const machines = fetch.get(entryWorkloads, service.namespace);
          if (machines) endpoints = [...endpoints, ...selected(machines, service.selector)];
        }
      } else {
        const entry = fetch.get(serviceEntries, objectKey(service.namespace, service.name));
        endpoints =
          service.selector && !entry?.spec.endpoints?.length
            ? selected(
                (fetch.get(workloadsByNamespace, service.namespace) ?? []).filter(
                  ({ origin }) => options.entriesSelectPods !== false || origin.kind !== 'Pod',
                ),
                service.selector,
              )
            : entry
              ? listedEndpoints(service, entry, context)
              : [];
      }
      return { hostname: service.hostname, namespace: service.namespace, endpoints };
    },
    { name: 'endpoints' },
  );
}

const turnsOff = (spec: PeerAuthenticationSpec): boolean =>
  spec.mtls?.mode === 'DISABLE' || Object.values(spec.portLevelMtls ?? {}).some((mtls) => mtls?.mode === 'DISABLE');
