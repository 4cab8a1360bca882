import type { Cluster } from '@istio-ts/envoy';
import { serviceKey } from '@istio-ts/mesh';
import type {
  InboundTarget,
  MergedDestinationRule,
  ProxyScope,
  Service,
  ServiceEndpoints,
  ServicePort,
  TrafficSwitches,
} from '@istio-ts/mesh/model';
import { isIP } from 'node:net';
import { isClusterLocal } from '../endpoint/cluster-local.ts';
import type { ClientPlace, LoadAssignmentInput } from '../endpoint/index.ts';
import type { Generated } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { outboundCluster } from '../names.ts';
import { hasEgressPorts } from '../route/egress.ts';
import { type LeanRoutes, leanRoutes, retriedByCluster } from '../route/lean.ts';
import { resolvesUnknownHosts } from './dynamic-hosts.ts';
import { blackHoleCluster, dynamicDnsCluster, inboundPassthroughCluster, passthroughCluster } from './fixed.ts';
import { buildInboundCluster, clientsPool, type SidecarIngress } from './inbound.ts';
import { clusterDiscovery, localityPolicy, type OutboundClusterInput } from './outbound.ts';
import type { ClientFiles } from './tls.ts';
import { effectivePolicy, type Subset } from './traffic-policy.ts';
import { parseProtocol } from '@istio-ts/mesh';

export { buildInboundCluster, type InboundClusterInput } from './inbound.ts';
export { buildOutboundCluster, type OutboundClusterInput } from './outbound.ts';
export { effectivePolicy } from './traffic-policy.ts';

/** What clusters need beside the scope: derived from endpoints, but changing far less often. Keyed by `namespace/hostname`. */
export interface ClusterInputs {
  readonly identities: ReadonlyMap<string, readonly string[]>;
  readonly mutualTlsPorts: ReadonlyMap<string, readonly string[]>;
  readonly resolvedByProxy: ReadonlyMap<string, ServiceEndpoints>;
}

const noIdentities: readonly string[] = [];

/** One service port and subset that has a cluster. */
interface Target {
  readonly service: Service;
  readonly port: ServicePort;
  readonly rule: MergedDestinationRule | undefined;
  readonly subset: Subset | undefined;
}

/** Every cluster of a service: one for each port and, where a DestinationRule has subsets, one for each of them. */
function* targetsOf(service: Service, rule: MergedDestinationRule | undefined): Generator<Target> {
  for (const port of service.ports) {
    if (port.protocol === 'UDP') continue;
    yield { service, port, rule, subset: undefined };
    for (const subset of rule?.spec.subsets ?? []) if (subset.name) yield { service, port, rule, subset };
  }
}

/** Names of the clusters of a service. */
export function* outboundClusterNames(service: Service, rules: ProxyScope['destinationRules']): Generator<string> {
  for (const { port, subset } of targetsOf(service, rules.get(service.hostname)))
    yield outboundCluster(port.number, subset?.name ?? '', service.hostname);
}

/** The inputs of the clusters towards the services that a proxy may see, by the names of the clusters. */
export function* outboundClusterInputs(
  scope: ProxyScope,
  inputs: ClusterInputs,
  services: readonly Service[] = scope.services,
): Generator<readonly [name: string, input: OutboundClusterInput]> {
  const { proxy, mesh } = scope;
  const router = proxy.type === 'router';
  const client = clientPlace(scope);
  const files = clientFiles(proxy.metadata);
  const ipv6Only = onlyIpv6(scope);
  const lean = clusterRetries(scope);
  for (const service of services) {
    const key = serviceKey(service);
    const endpoints = service.resolution === 'alias' ? aliasEndpoints(scope, service) : inputs.resolvedByProxy.get(key);
    // An alias of a service of the mesh is routed to that service's own clusters.
    if (service.resolution === 'alias' && endpoints === undefined) continue;
    for (const target of targetsOf(service, scope.destinationRules.get(service.hostname))) {
      const name = outboundCluster(target.port.number, target.subset?.name ?? '', service.hostname);
      yield [
        name,
        {
          ...target,
          mesh,
          router,
          autoMutualTls: scope.autoMutualTls(service.hostname, target.port.number),
          identities: inputs.identities.get(key) ?? noIdentities,
          mutualTlsEverywhere: inputs.mutualTlsPorts.get(key)?.includes(target.port.name) ?? false,
          endpoints,
          client: endpoints && client,
          files,
          ipv6Only,
          switches: proxy.switches,
          retried: retriedByCluster(lean, service, target.port.number),
        },
      ];
    }
  }
}

const aliasTarget = memoByInputs(
  (service: Service) => [service],
  (service): ServiceEndpoints => ({
    hostname: service.hostname,
    namespace: service.namespace,
    endpoints: service.ports.map((port) => ({
      address: service.externalName ?? '',
      port: typeof port.targetPort === 'number' ? port.targetPort : port.number,
      servicePort: port.name,
      health: 'healthy',
      labels: {},
      locality: { region: '', zone: '', subzone: '' },
      network: '',
      clusterId: '',
      weight: 1,
      tlsMode: 'disabled',
      node: '',
    })),
  }),
);

/** What an ExternalName points to, where that is no service of the mesh. */
function aliasEndpoints(scope: ProxyScope, service: Service): ServiceEndpoints | undefined {
  if (!service.externalName || scope.serviceByHost.has(service.externalName)) return undefined;
  return aliasTarget(service);
}

/** A cluster whose endpoints the control plane sends, without the endpoints themselves. */
export interface EndpointTarget {
  readonly clusterName: string;
  /** Key of the service among the mesh's endpoints. */
  readonly service: string;
  /** Whether only endpoints on the client's node count, or those are preferred. */
  readonly node: 'only' | 'preferred' | undefined;
  readonly input: Omit<LoadAssignmentInput, 'endpoints' | 'node' | 'clientNode'>;
}

/** The clusters of a scope that get their endpoints by EDS; `client` is left out of those for which the place of the client makes no difference. */
export function endpointTargets(
  scope: Pick<ProxyScope, 'services' | 'destinationRules' | 'mesh' | 'proxy'>,
): readonly EndpointTarget[] {
  const { proxy, mesh, destinationRules } = scope;
  const client = clientPlace(scope);
  const place = JSON.stringify(client);
  const router = proxy.type === 'router';
  const { switches } = proxy;
  return scope.services.flatMap((service) => {
    const rule = destinationRules.get(service.hostname);
    return targetsOfService({ service, rule, mesh, router, switches, client, place }).targets;
  });
}

interface ServiceTargets {
  readonly service: Service;
  readonly rule: MergedDestinationRule | undefined;
  readonly mesh: ProxyScope['mesh'];
  readonly router: boolean;
  readonly switches: TrafficSwitches | undefined;
  readonly client: ClientPlace;
  /** The client's place as text. */
  readonly place: string;
}

const unplacedTargets = memoByInputs(
  ({ service, rule, mesh, router, switches, client }: ServiceTargets) => [
    service,
    mesh,
    rule,
    router,
    switches,
    client.clusterId,
  ],
  (input) => findTargets(input),
);

const placedTargets = memoByInputs(
  ({ service, rule, mesh, router, switches, place }: ServiceTargets) => [service, mesh, rule, router, switches, place],
  (input) => findTargets(input),
);

/** The targets of one service: the identical ones for all clients, or where the place of the client counts for those of one place. */
function targetsOfService(input: ServiceTargets): ReturnType<typeof findTargets> {
  const unplaced = unplacedTargets(input);
  return unplaced.placed ? placedTargets(input) : unplaced;
}

function findTargets({ service, rule, mesh, router, switches, client }: ServiceTargets) {
  const targets: EndpointTarget[] = [];
  let anyPlaced = false;
  for (const { port, subset } of targetsOf(service, rule)) {
    const policy = effectivePolicy(rule?.spec, subset, port.number, mesh);
    if (clusterDiscovery(service, policy, { router, switches }) !== 'EDS') continue;
    const clusterName = outboundCluster(port.number, subset?.name ?? '', service.hostname);
    const { settings, zones, failover } = localityPolicy(policy, mesh, service);
    const placed =
      zones !== undefined || (settings !== undefined && (failover || (settings.distribute?.length ?? 0) > 0));
    anyPlaced ||= placed;
    targets.push({
      clusterName,
      service: serviceKey(service),
      node: nodeMatters(service, router),
      input: {
        clusterName,
        port: port.name,
        subset: subset?.labels,
        client: placed ? client : undefined,
        settings: placed ? settings : undefined,
        failover: placed && failover,
        ...(switches?.unhealthyEndpoints === true && { unhealthyToo: true }),
        ...(zones && { zones }),
        ...(isClusterLocal(service.hostname, mesh) && { cluster: client.clusterId }),
      },
    });
  }
  return { targets, placed: anyPlaced };
}

function nodeMatters(service: Service, router: boolean): EndpointTarget['node'] {
  if (router) return undefined;
  if (service.internalTrafficPolicy === 'Local') return 'only';
  return service.trafficDistribution === 'PreferSameNode' ? 'preferred' : undefined;
}

/**
 * The workload's own endpoints, by which Envoy knows how many proxies of its kind run in each zone: those of the oldest service that selects the
 * workload, as far as they are of the same workload, revision of it and region. Undefined for proxies that do not ask for them; without endpoints for
 * workloads of which no service tells.
 */
export function selfTarget(scope: Pick<ProxyScope, 'inbound' | 'proxy'>): EndpointTarget | undefined {
  const { proxy, inbound } = scope;
  if (proxy.metadata.ENABLE_SELF_DISCOVERY !== 'true') return undefined;
  const [first] = inbound;
  const revision = proxy.labels['pod-template-hash'];
  return {
    clusterName: LOCAL_CLUSTER,
    service: first ? serviceKey(first.service) : '',
    node: undefined,
    input: {
      clusterName: LOCAL_CLUSTER,
      port: first?.port.name ?? '',
      subset: revision === undefined ? undefined : { 'pod-template-hash': revision },
      client: clientPlace(scope),
      settings: undefined,
      zones: ALL_ZONES,
      failover: false,
      workload: { name: proxy.workloadName, region: proxy.locality.region },
    },
  };
}

/** Part of Istio's interface with proxies: the cluster stands in their bootstrap. */
const LOCAL_CLUSTER = 'local_cluster';
const ALL_ZONES = {};

const clientPlace = ({ proxy }: Pick<ProxyScope, 'proxy'>): ClientPlace => ({
  locality: proxy.locality,
  labels: proxy.labels,
  network: proxy.network,
  clusterId: proxy.clusterId,
});

/**
 * Everything that `outboundClusterInputs` depends on, as a list to remember results by. The place of the client counts only where there are
 * clusters whose endpoints are part of them.
 */
export function outboundInputsKey(scope: ProxyScope, inputs: ClusterInputs): readonly [object, ...unknown[]] {
  return [
    scope.services,
    scope.destinationRules,
    scope.mesh,
    scope.autoMutualTls,
    scope.serviceByHost,
    inputs.identities,
    inputs.mutualTlsPorts,
    inputs.resolvedByProxy,
    clusterRetries(scope),
    ...outboundPlaceKey(scope, inputs),
  ];
}

const haveAliases = memoByInputs(
  (services: readonly Service[]) => [services],
  (services) => services.some((service) => service.resolution === 'alias'),
);

/** The part of it that is about the client alone. */
export function outboundPlaceKey({ services, proxy }: ProxyScope, inputs: ClusterInputs): readonly unknown[] {
  const placed = inputs.resolvedByProxy.size > 0 || haveAliases(services);
  return [
    proxy.type,
    placed && JSON.stringify(clientPlace({ proxy })),
    JSON.stringify(clientFiles(proxy.metadata)),
    onlyIpv6({ proxy }),
    proxy.switches,
  ];
}

function clientFiles(metadata: Readonly<Record<string, unknown>>): ClientFiles | undefined {
  const text = (name: string): string => (typeof metadata[name] === 'string' ? metadata[name] : '');
  const files = {
    certificateChain: text('TLS_CLIENT_CERT_CHAIN'),
    privateKey: text('TLS_CLIENT_KEY'),
    rootCertificate: text('TLS_CLIENT_ROOT_CERT'),
  };
  return Object.values(files).some((path) => path !== '') ? files : undefined;
}

/** Clusters towards the workload's own application: one for each port, whatever number of services share it. */
export function buildInboundClusters(scope: ProxyScope): readonly Generated<Cluster>[] {
  if (scope.proxy.type !== 'sidecar') return [];
  const { mesh, sidecar } = scope;
  const ipv6 = onlyIpv6(scope);
  const declared = sidecar?.spec.ingress ?? [];
  if (sidecar && declared.length > 0) {
    return declared.flatMap((ingress) => sidecarIngress(scope, ingress) ?? []);
  }
  const byPort = new Map<number, InboundTarget[]>();
  for (const target of scope.inbound) byPort.set(target.targetPort, [...(byPort.get(target.targetPort) ?? []), target]);
  return [...byPort].map(([port, targets]) =>
    buildInboundCluster({
      port,
      protocol: targets[0]?.port.protocol ?? 'Auto',
      services: [...new Set(targets.map((target) => target.service))],
      servicePort: targets[0]?.port,
      mesh,
      pool: sidecar?.spec.inboundConnectionPool,
      clientsPool: clientsPool(targets[0], mesh),
      endpoint: mesh.inboundTrafficPolicy?.mode === 'LOCALHOST' ? `${ipv6 ? '[::1]' : '127.0.0.1'}:${port}` : undefined,
      proxy: scope.proxy,
      origins: [...(sidecar ? [sidecar.origin] : []), ...(targets[0]?.rule?.origins ?? [])],
    }),
  );
}

function sidecarIngress(scope: ProxyScope, ingress: SidecarIngress): Generated<Cluster> | undefined {
  const port = ingress.port?.number;
  if (!port) return undefined;
  const targets = scope.inbound.filter((target) => target.targetPort === port || target.port.number === port);
  const services = targets.map((target) => target.service);
  return buildInboundCluster({
    port,
    protocol: parseProtocol(ingress.port?.protocol ?? '') ?? 'Auto',
    services: [...new Set(services)],
    mesh: scope.mesh,
    pool: ingress.connectionPool ?? scope.sidecar?.spec.inboundConnectionPool,
    clientsPool: clientsPool(targets[0], scope.mesh),
    endpoint: ingress.defaultEndpoint || undefined,
    proxy: scope.proxy,
    origins: [...(scope.sidecar ? [scope.sidecar.origin] : []), ...(targets[0]?.rule?.origins ?? [])],
  });
}

/** Clusters that every proxy of a type has. */
export function fixedClusters(scope: ProxyScope): readonly Generated<Cluster>[] {
  const { mesh, proxy } = scope;
  if (proxy.type !== 'sidecar') return [blackHoleCluster(mesh)];
  return [
    blackHoleCluster(mesh),
    passthroughCluster(mesh),
    inboundPassthroughCluster(mesh, proxy),
    ...(resolvesUnknownHosts(scope)
      ? [dynamicDnsCluster(mesh, onlyIpv6(scope), proxy.switches?.dynamicHosts, clientFiles(proxy.metadata))]
      : []),
  ];
}

/**
 * Which clusters say when requests are tried again. The routes of sidecars with listeners of their own are made of parts of what the sidecar sees, so
 * that a name may lead elsewhere in them: they say everything themselves.
 */
export const clusterRetries = (scope: ProxyScope): LeanRoutes | undefined =>
  scope.proxy.type === 'sidecar' && hasEgressPorts(scope) ? undefined : leanRoutes(scope);

const onlyIpv6 = ({ proxy }: Pick<ProxyScope, 'proxy'>): boolean =>
  proxy.ipAddresses.length > 0 && proxy.ipAddresses.every((address) => isIP(address) === 6);
