import type { AccessLog, Config_Counter, Config_Histogram, Config_Tag } from '@istio-ts/envoy';
import type { ScopedProxy } from '@istio-ts/mesh/model';
import { memoWhileHeld } from '../memo.ts';
import { typed } from '../typed.ts';
import { type PeerFact, peerFact } from './peer.ts';
import { format, type TagSource, tag, text } from './tag.ts';

/** Who reports: the client's proxy, or the server's proxy on a connection with or without mutual TLS. */
export type Reporter =
  /** `without` names the cluster of a TCP proxy that forwards to servers of which nothing is known. */
  | { readonly side: 'source'; readonly without?: string }
  | { readonly side: 'destination'; readonly mutualTls: boolean };

interface MetricsInput {
  readonly proxy: ScopedProxy;
  readonly side: 'source' | 'destination';
  readonly mutualTls: boolean;
  readonly without: string | undefined;
}

/** A ceiling for the label sets of one proxy; more are not counted, which protects its memory. */
const MAX_COUNTERS = 5000;
const MAX_HISTOGRAMS = 2000;

/** Labels of a workload, in Istio's names without the `source_` or `destination_` before them. */
type WorkloadLabel =
  | 'workload'
  | 'workload_namespace'
  | 'app'
  | 'version'
  | 'canonical_service'
  | 'canonical_revision'
  | 'cluster';
type WorkloadTags = Readonly<Record<WorkloadLabel, TagSource>>;

const own = (proxy: ScopedProxy): WorkloadTags => ({
  workload: text(proxy.workloadName),
  workload_namespace: text(proxy.namespace),
  app: text(proxy.labels.app ?? proxy.canonicalName),
  version: text(proxy.labels.version ?? proxy.canonicalRevision),
  canonical_service: text(proxy.canonicalName),
  canonical_revision: text(proxy.canonicalRevision === '' ? 'latest' : proxy.canonicalRevision),
  cluster: text(proxy.clusterId),
});

/** The server, from the metadata of the endpoint that served. */
const upstream = (key: string): string => `%UPSTREAM_METADATA(istio.peer:${key})%`;
const SERVER: WorkloadTags = {
  workload: format(upstream('workload')),
  workload_namespace: format(upstream('namespace')),
  app: format(upstream('app')),
  version: format(upstream('version')),
  canonical_service: format(upstream('canonical_service')),
  canonical_revision: format(upstream('canonical_revision')),
  cluster: format(upstream('cluster')),
};

/** The client, from its certificate. */
const certified = (fact: PeerFact): TagSource => format(peerFact(fact));
const CLIENT: WorkloadTags = {
  workload: certified('workload'),
  workload_namespace: certified('namespace'),
  app: certified('app'),
  version: certified('version'),
  canonical_service: certified('app'),
  canonical_revision: certified('version'),
  cluster: certified('cluster'),
};

/** A client without mutual TLS, of which nothing that it says of itself can be believed, or a server that the mesh does not know. */
const STRANGER: WorkloadTags = {
  workload: text(undefined),
  workload_namespace: text(undefined),
  app: text(undefined),
  version: text(undefined),
  canonical_service: text(undefined),
  canonical_revision: text('latest'),
  cluster: text(undefined),
};

const coalesce = (...operators: readonly (readonly [command: string, parameter?: string])[]): string =>
  `%COALESCE(${JSON.stringify({ operators: operators.map(([command, param]) => (param === undefined ? command : { command, param })) })})%`;

interface SideTags {
  readonly source: WorkloadTags;
  readonly destination: WorkloadTags;
  readonly sourcePrincipal: TagSource;
  readonly destinationPrincipal: TagSource;
  readonly service: TagSource;
  readonly serviceName: TagSource;
  readonly serviceNamespace: TagSource;
  readonly security: TagSource;
}

function sideTags({ proxy, side, mutualTls, without }: MetricsInput, protocol: 'http' | 'tcp'): SideTags {
  if (side === 'source' && without !== undefined) {
    return {
      source: own(proxy),
      destination: STRANGER,
      sourcePrincipal: text(undefined),
      destinationPrincipal: text(undefined),
      service: text(undefined),
      serviceName: text(without),
      serviceNamespace: text(undefined),
      security: text(undefined),
    };
  }
  if (side === 'source') {
    return {
      source: own(proxy),
      destination: SERVER,
      sourcePrincipal: format('%UPSTREAM_LOCAL_URI_SAN%'),
      destinationPrincipal: format('%UPSTREAM_PEER_URI_SAN%'),
      service: format(
        protocol === 'http'
          ? coalesce(['CLUSTER_METADATA', 'istio.svc:host'], ['REQ', ':authority'])
          : '%CLUSTER_METADATA(istio.svc:host)%',
      ),
      serviceName: format(coalesce(['CLUSTER_METADATA', 'istio.svc:name'], ['UPSTREAM_CLUSTER'])),
      serviceNamespace: format('%CLUSTER_METADATA(istio.svc:namespace)%'),
      security: text(undefined),
    };
  }
  return {
    source: mutualTls ? CLIENT : STRANGER,
    destination: own(proxy),
    sourcePrincipal: mutualTls ? format('%DOWNSTREAM_PEER_URI_SAN%') : text(undefined),
    destinationPrincipal: mutualTls ? format('%DOWNSTREAM_LOCAL_URI_SAN%') : text(undefined),
    service: format('%CLUSTER_METADATA(istio.svc:host)%'),
    serviceName: format(coalesce(['CLUSTER_METADATA', 'istio.svc:name'], ['UPSTREAM_CLUSTER'])),
    serviceNamespace: format('%CLUSTER_METADATA(istio.svc:namespace)%'),
    security: text(mutualTls ? 'mutual_tls' : 'none'),
  };
}

/** Labels that all of Istio's standard metrics have (Istio Standard Metrics, Labels). */
function commonTags(input: MetricsInput, protocol: 'http' | 'tcp'): readonly Config_Tag[] {
  const tags = sideTags(input, protocol);
  const workload = (prefix: 'source' | 'destination', values: WorkloadTags) =>
    (Object.keys(values) as WorkloadLabel[]).map((label) => tag(`${prefix}_${label}`, values[label]));
  return [
    tag('reporter', text(input.side)),
    ...workload('source', tags.source),
    tag('source_principal', tags.sourcePrincipal),
    ...workload('destination', tags.destination),
    tag('destination_principal', tags.destinationPrincipal),
    tag('destination_service', tags.service),
    tag('destination_service_name', tags.serviceName),
    tag('destination_service_namespace', tags.serviceNamespace),
    tag('request_protocol', protocol === 'tcp' ? text('tcp') : { kind: 'request protocol' }),
    tag('response_flags', format('%RESPONSE_FLAGS%')),
    tag('connection_security_policy', tags.security),
  ];
}

function logger(counters: readonly Config_Counter[], histograms: readonly Config_Histogram[]): AccessLog {
  return {
    name: 'envoy.access_loggers.stats',
    typedConfig: typed('envoy.extensions.access_loggers.stats.v3.Config', {
      // All loggers of a proxy share one scope, so that the ceilings hold for the whole proxy.
      statsScope: { prefix: '', sharingName: 'istio', maxCounters: MAX_COUNTERS, maxHistograms: MAX_HISTOGRAMS },
      ...(counters.length > 0 ? { counters } : {}),
      ...(histograms.length > 0 ? { histograms } : {}),
    }),
  };
}

/** Older Envoys have no such access logger, or one that refuses this; they serve without these metrics. */
const isTooOld = ({ lacks }: ScopedProxy): boolean => lacks?.includes('metrics') === true;

const inputsOf = ({ proxy, side, mutualTls, without }: MetricsInput) => [proxy, side, mutualTls, without] as const;

const httpLoggers = memoWhileHeld(inputsOf, (input): readonly AccessLog[] => {
  if (isTooOld(input.proxy)) return [];
  const tags = [
    ...commonTags(input, 'http'),
    tag('response_code', format('%RESPONSE_CODE%')),
    tag('grpc_response_status', format('%GRPC_STATUS_NUMBER%')),
  ];
  return [
    logger(
      [{ stat: { name: 'istio_requests_total', tags }, valueFixed: 1 }],
      [
        {
          stat: { name: 'istio_request_duration_milliseconds', tags },
          unit: 'Milliseconds',
          valueFormat: '%DURATION%',
        },
        { stat: { name: 'istio_request_bytes', tags }, unit: 'Bytes', valueFormat: '%DOWNSTREAM_WIRE_BYTES_RECEIVED%' },
        { stat: { name: 'istio_response_bytes', tags }, unit: 'Bytes', valueFormat: '%DOWNSTREAM_WIRE_BYTES_SENT%' },
      ],
    ),
  ];
});

const tcpLoggers = memoWhileHeld(inputsOf, (input): readonly AccessLog[] => {
  if (isTooOld(input.proxy)) return [];
  const tags = commonTags(input, 'tcp');
  // Byte counts of periodic logs are cumulative, so they are read once, at the end of the connection.
  return [
    {
      ...logger([{ stat: { name: 'istio_tcp_connections_opened_total', tags }, valueFixed: 1 }], []),
      filter: { logTypeFilter: { types: ['TcpUpstreamConnected'] } },
    },
    {
      ...logger(
        [
          { stat: { name: 'istio_tcp_connections_closed_total', tags }, valueFixed: 1 },
          { stat: { name: 'istio_tcp_sent_bytes_total', tags }, valueFormat: '%BYTES_SENT%' },
          { stat: { name: 'istio_tcp_received_bytes_total', tags }, valueFormat: '%BYTES_RECEIVED%' },
        ],
        [],
      ),
      filter: { logTypeFilter: { types: ['TcpConnectionEnd'] } },
    },
  ];
});

const input = (proxy: ScopedProxy, reporter: Reporter): MetricsInput => ({
  proxy,
  side: reporter.side,
  mutualTls: reporter.side === 'destination' && reporter.mutualTls,
  without: reporter.side === 'source' ? reporter.without : undefined,
});

/** Access loggers that count HTTP and gRPC requests as Istio's standard metrics. */
export const httpMetrics = (proxy: ScopedProxy, reporter: Reporter): readonly AccessLog[] =>
  httpLoggers(input(proxy, reporter));

/** Access loggers that count TCP connections and bytes as Istio's standard metrics. */
export const tcpMetrics = (proxy: ScopedProxy, reporter: Reporter): readonly AccessLog[] =>
  tcpLoggers(input(proxy, reporter));
