import type { MeshConfig } from '@istio-ts/api';
import type { Cluster, TransportSocket } from '@istio-ts/envoy';
import { dynamicHostsCluster } from './dynamic-hosts.ts';
import { isHttp, isHttp2 } from '@istio-ts/mesh';
import type {
  MergedDestinationRule,
  Origin,
  Protocol,
  Service,
  ServiceEndpoints,
  ServicePort,
  TrafficSwitches,
} from '@istio-ts/mesh/model';
import { protoDuration } from '../duration.ts';
import {
  buildLoadAssignment,
  type ClientPlace,
  type LocalitySettings,
  localitySettings,
  type ZoneSettings,
  zoneSettings,
} from '../endpoint/index.ts';
import { type Generated, uniqueOrigins } from '../generated.ts';
import { outboundCluster, sniDnatCluster } from '../names.ts';
import { retryPolicy } from '../route/retry.ts';
import { meshAlpn, requestAlpn } from './alpn.ts';
import { circuitBreakers, connectionOptions, connectTimeout } from './connection-pool.ts';
import { type HttpSettings, httpProtocol, type UpstreamProtocol } from './http-protocol.ts';
import { loadBalancing, localityBalancing } from './load-balancer.ts';
import { clusterMetadata } from './metadata.ts';
import { statName } from './stat-name.ts';
import { errorAnswers, outlierDetection, panicThreshold } from './outlier-detection.ts';
import {
  autoSni,
  automaticTls,
  type ClientFiles,
  meshTls,
  originatedTls,
  rawBuffer,
  withMountedFiles,
  withProxyProtocol,
} from './tls.ts';
import { type EffectivePolicy, effectivePolicy, type Subset } from './traffic-policy.ts';

/** All that the cluster of one service port and subset depends on. */
export interface OutboundClusterInput {
  readonly service: Service;
  readonly port: ServicePort;
  /** undefined: all endpoints of the service. */
  readonly subset: Subset | undefined;
  readonly rule: MergedDestinationRule | undefined;
  readonly mesh: MeshConfig;
  /** Routers know no original destination and never sniff. */
  readonly router: boolean;
  /** Whether mutual TLS may be used to endpoints that have a proxy although no DestinationRule says so. */
  readonly autoMutualTls: boolean;
  /** Identities that the service's endpoints may present. */
  readonly identities: readonly string[];
  /** Whether every endpoint of the port takes mutual TLS. */
  readonly mutualTlsEverywhere: boolean;
  /** Only for services whose names the proxy resolves itself: they are part of the cluster. */
  readonly endpoints: ServiceEndpoints | undefined;
  /** Only together with `endpoints`. */
  readonly client: ClientPlace | undefined;
  readonly files: ClientFiles | undefined;
  readonly ipv6Only: boolean;
  readonly switches: TrafficSwitches | undefined;
  /** Whether the cluster says when requests are tried again, instead of the routes to it. */
  readonly retried: boolean;
}

/** The input as a list to remember results by: every field of it, those made anew each time by their content. */
export const outboundClusterKey = (input: OutboundClusterInput): readonly [object, ...unknown[]] => [
  input.service,
  input.port,
  input.subset,
  input.rule,
  input.mesh,
  input.router,
  input.autoMutualTls,
  input.identities,
  input.mutualTlsEverywhere,
  input.endpoints,
  input.client && JSON.stringify(input.client),
  input.files && JSON.stringify(input.files),
  input.ipv6Only,
  input.switches,
  input.retried,
];

/** What decides about the discovery of endpoints beside the service and its rules. */
export interface Finding {
  /** Routers know no original destination. */
  readonly router: boolean;
  readonly switches: TrafficSwitches | undefined;
}

/** How a cluster finds its endpoints. */
type Discovery = 'EDS' | 'STRICT_DNS' | 'LOGICAL_DNS' | 'ORIGINAL_DST' | 'DYNAMIC';

/** How the cluster of a service finds its endpoints; the control plane has to send EDS for those that say so. */
export function clusterDiscovery(service: Service, policy: EffectivePolicy, { router, switches }: Finding): Discovery {
  switch (service.resolution) {
    case 'dns':
    case 'alias':
      return 'STRICT_DNS';
    case 'dns-round-robin':
      return 'LOGICAL_DNS';
    case 'dynamic-dns':
      return 'DYNAMIC';
    case 'passthrough':
      return router || (service.headless && switches?.headlessEndpoints === true && !dialled(policy))
        ? 'EDS'
        : 'ORIGINAL_DST';
    case 'static':
      return dialled(policy) && !router ? 'ORIGINAL_DST' : 'EDS';
  }
}

/** Whether a rule wants the address that the client dialled. */
const dialled = (policy: EffectivePolicy): boolean => policy.loadBalancer?.simple === 'PASSTHROUGH';

/** Settings for load balancing by locality or by zone of a cluster, and whether its localities may fail over. */
export function localityPolicy(
  policy: EffectivePolicy,
  mesh: MeshConfig,
  service: Pick<Service, 'trafficDistribution'>,
): {
  readonly settings: LocalitySettings | undefined;
  readonly zones: ZoneSettings | undefined;
  readonly failover: boolean;
} {
  const own = policy.loadBalancer?.localityLbSetting;
  const zones = zoneSettings(policy.loadBalancer, mesh, service.trafficDistribution);
  if (zones) return { settings: undefined, zones, failover: policy.outlierDetection !== undefined };
  return {
    zones: undefined,
    settings: localitySettings(own, mesh, service.trafficDistribution),
    // Who asks for near endpoints wants them first whether others may fail over or not.
    failover: policy.outlierDetection !== undefined || (own === undefined && service.trafficDistribution !== undefined),
  };
}

/** The cluster `outbound|PORT|SUBSET|HOST`. */
export function buildOutboundCluster(input: OutboundClusterInput): Generated<Cluster> {
  const { service, port, subset, rule, mesh, router } = input;
  const policy = effectivePolicy(rule?.spec, subset, port.number, mesh);
  const name = outboundCluster(port.number, subset?.name ?? '', service.hostname);
  const discovery = clusterDiscovery(service, policy, input);
  const pool = policy.connectionPool;
  const protocol = upstreamProtocol(port.protocol, policy, mesh, router);
  const locality = localityPolicy(policy, mesh, service);
  const outliers = outlierDetection(policy.outlierDetection);
  const options = connectionOptions(pool, mesh);
  const security = transportSecurity(input, policy, discovery, protocol);
  const http = httpProtocol(protocol, {
    pool,
    autoSni: security.autoSni,
    errors: errorAnswers(policy.outlierDetection),
    retries: input.retried ? retryPolicy(undefined, mesh.defaultHttpRetryPolicy) : undefined,
  });
  const balancing =
    discovery === 'ORIGINAL_DST'
      ? { lbPolicy: 'CLUSTER_PROVIDED' as const }
      : discovery === 'DYNAMIC'
        ? dynamicHostsCluster(mesh, input.ipv6Only, input.switches?.dynamicHosts)
        : loadBalancing(policy.loadBalancer);
  const resource: Cluster = {
    ...(security.matches && { transportSocketMatches: security.matches }),
    name,
    ...statName(mesh, service, port, subset),
    ...(discovery === 'DYNAMIC' ? {} : { type: discovery }),
    ...(discovery === 'EDS' && {
      edsClusterConfig: {
        edsConfig: { ads: {}, initialFetchTimeout: '0s', resourceApiVersion: 'V3' },
        serviceName: name,
      },
    }),
    connectTimeout: connectTimeout(pool, mesh),
    ...balancing,
    ...((discovery === 'STRICT_DNS' || discovery === 'LOGICAL_DNS') && {
      ...dnsSettings(mesh, input.ipv6Only),
      loadAssignment: buildLoadAssignment({
        clusterName: name,
        endpoints: input.endpoints?.endpoints ?? [],
        port: port.name,
        subset: subset?.labels,
        client: input.client,
        ...locality,
        node: undefined,
      }),
    }),
    circuitBreakers: circuitBreakers(policy),
    ...(http && { typedExtensionProtocolOptions: http }),
    ...(outliers && { outlierDetection: outliers }),
    commonLbConfig: {
      ...panicThreshold(policy.outlierDetection, input.switches?.unhealthyEndpoints === true),
      ...(balancing.lbPolicy !== 'CLUSTER_PROVIDED' && localityBalancing(locality)),
    },
    ...(security.socket && { transportSocket: security.socket }),
    metadata: clusterMetadata({
      services: [service],
      rule,
      subset: subset?.name ?? '',
      alpn: security.mutualTls ? requestAlpn(port.protocol, protocol) : undefined,
    }),
    ...(options && { upstreamConnectionOptions: options }),
  };
  const origins: Origin[] = [service.origin, ...(rule?.origins ?? [])];
  return { resource, origins: uniqueOrigins(origins) };
}

/** What the proxy speaks to the endpoints (Istio documentation, "Protocol Selection"; DestinationRule, `h2UpgradePolicy` and `useClientProtocol`). */
function upstreamProtocol(
  protocol: Protocol,
  policy: EffectivePolicy,
  mesh: MeshConfig,
  router: boolean,
): UpstreamProtocol {
  const http = policy.connectionPool?.http;
  if (http?.useClientProtocol) return 'downstream';
  if (isHttp2(protocol)) return 'http2';
  if (isHttp(protocol)) {
    const upgrade =
      http?.h2UpgradePolicy === 'UPGRADE' ||
      (http?.h2UpgradePolicy !== 'DO_NOT_UPGRADE' && mesh.h2UpgradePolicy === 'UPGRADE');
    return upgrade ? 'http2' : 'http1';
  }
  if (protocol === 'Auto') {
    // Who asks for the upgrade of a port knows what it speaks; the mesh's default does not.
    if (http?.h2UpgradePolicy === 'UPGRADE') return 'http2';
    return router ? 'http1' : 'downstream';
  }
  return 'none';
}

interface Security {
  readonly socket?: TransportSocket;
  readonly matches?: Cluster['transportSocketMatches'];
  readonly mutualTls: boolean;
  readonly autoSni?: HttpSettings['autoSni'];
}

function transportSecurity(
  input: OutboundClusterInput,
  policy: EffectivePolicy,
  discovery: Discovery,
  protocol: UpstreamProtocol,
): Security {
  const { service, port, subset, mesh, router, identities } = input;
  const { tls } = policy;
  const wrap = (socket: TransportSocket): TransportSocket =>
    policy.proxyProtocol ? withProxyProtocol(socket, policy.proxyProtocol.version) : socket;
  const plain: Security = {
    mutualTls: false,
    ...(policy.proxyProtocol && { socket: wrap(rawBuffer) }),
  };
  const mutual = (): TransportSocket => {
    const sni =
      tls?.mode === 'ISTIO_MUTUAL' && tls.sni
        ? tls.sni
        : sniDnatCluster(port.number, subset?.name ?? '', service.hostname);
    const names = tls?.mode === 'ISTIO_MUTUAL' && tls.subjectAltNames?.length ? tls.subjectAltNames : identities;
    return wrap(meshTls(mesh, sni, names, meshAlpn(port.protocol, protocol), input.files));
  };
  switch (tls?.mode) {
    case 'ISTIO_MUTUAL':
      return { socket: mutual(), mutualTls: true };
    case 'SIMPLE':
    case 'MUTUAL': {
      const alpn = protocol === 'http2' ? ['h2'] : [];
      const subjectAltNames = tls.subjectAltNames?.length ? tls.subjectAltNames : service.subjectAltNames;
      // A sidecar takes a Secret only for a rule that names its workloads (DestinationRule reference, ClientTLSSettings.credentialName).
      const mayReadSecret = router || input.rule?.spec.workloadSelector !== undefined;
      // What a container mounts is for the mesh: servers outside it get what the rule says, unless the control plane is told otherwise.
      const ruleFirst = service.meshExternal && input.switches?.externalRuleTls !== false;
      const ofRule = { ...tls, subjectAltNames, ...(!mayReadSecret && { credentialName: '' }) };
      const own = withMountedFiles(ofRule, input.files, ruleFirst);
      return {
        socket: wrap(originatedTls(own, mesh, alpn, input.files)),
        mutualTls: false,
        autoSni: protocol === 'none' ? undefined : autoSni(own, mesh),
      };
    }
    case 'DISABLE':
      return plain;
    default:
      if (!input.autoMutualTls || service.meshExternal) return plain;
      // To an original destination there is no endpoint whose metadata could tell whether it has a proxy: all of them have to.
      if (discovery === 'ORIGINAL_DST')
        return input.mutualTlsEverywhere ? { socket: mutual(), mutualTls: true } : plain;
      return { matches: automaticTls(mutual(), wrap(rawBuffer)), mutualTls: true };
  }
}

/**
 * How names are resolved. Envoy would like these fields in an extension of their own, but then the cluster has no `type`, which EnvoyFilters and
 * `istioctl proxy-config cluster` look at.
 */
function dnsSettings(
  mesh: MeshConfig,
  ipv6Only: boolean,
): Pick<Cluster, 'dnsRefreshRate' | 'respectDnsTtl' | 'dnsLookupFamily'> {
  return {
    dnsRefreshRate: protoDuration(mesh.dnsRefreshRate) ?? '60s',
    respectDnsTtl: true,
    dnsLookupFamily: ipv6Only ? 'V6_ONLY' : 'V4_ONLY',
  };
}
