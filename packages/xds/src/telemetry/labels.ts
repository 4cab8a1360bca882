import type { ScopedProxy } from '@istio-ts/mesh/model';
import { type PeerFact, peerFact } from './peer.ts';
import { format, type TagSource, text } from './tag.ts';

/** Who reports: the client's proxy, or the server's proxy on a connection with or without mutual TLS. */
export type Reporter =
  /** `without` names the cluster of a TCP proxy that forwards to servers of which nothing is known. */
  | { readonly side: 'source'; readonly without?: string }
  | { readonly side: 'destination'; readonly mutualTls: boolean };

/** What the labels of a metric depend on. */
export interface LabelsInput {
  readonly proxy: ScopedProxy;
  readonly side: 'source' | 'destination';
  readonly mutualTls: boolean;
  readonly without: string | undefined;
}

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
  app: text(proxy.labels.app),
  version: text(proxy.labels.version),
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
  version: certified('version_label'),
  canonical_service: certified('canonical_service'),
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

function sideTags({ proxy, side, mutualTls, without }: LabelsInput, protocol: 'http' | 'tcp'): SideTags {
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

/** A label and where its value comes from. */
export type Label = readonly [name: string, source: TagSource];

/** Labels that all of Istio's standard metrics have (Istio Standard Metrics, Labels). */
function commonLabels(input: LabelsInput, protocol: 'http' | 'tcp'): readonly Label[] {
  const tags = sideTags(input, protocol);
  const workload = (prefix: 'source' | 'destination', values: WorkloadTags) =>
    (Object.keys(values) as WorkloadLabel[]).map((label): Label => [`${prefix}_${label}`, values[label]]);
  return [
    ['reporter', text(input.side)],
    ...workload('source', tags.source),
    ['source_principal', tags.sourcePrincipal],
    ...workload('destination', tags.destination),
    ['destination_principal', tags.destinationPrincipal],
    ['destination_service', tags.service],
    ['destination_service_name', tags.serviceName],
    ['destination_service_namespace', tags.serviceNamespace],
    ['request_protocol', protocol === 'tcp' ? text('tcp') : { kind: 'request protocol' }],
    ['response_flags', format('%RESPONSE_FLAGS%')],
    ['connection_security_policy', tags.security],
  ];
}

/** Labels of the metrics of HTTP and gRPC requests. */
export const httpLabels = (input: LabelsInput): readonly Label[] => [
  ...commonLabels(input, 'http'),
  ['response_code', format('%RESPONSE_CODE%')],
  ['grpc_response_status', format('%GRPC_STATUS_NUMBER%')],
];

/** Labels of the metrics of TCP connections. */
export const tcpLabels = (input: LabelsInput): readonly Label[] => commonLabels(input, 'tcp');
