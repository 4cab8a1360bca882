import type { Prometheus, Sample } from '../sources/prometheus.ts';

/** One side of traffic as Istio's standard metrics name it. */
export interface Peer {
  readonly workload: string;
  readonly namespace: string;
  readonly app: string;
  readonly version: string;
}

/** Who spoke to whom: the labels that the standard metrics share. */
export interface Flow {
  readonly reporter: 'source' | 'destination' | 'waypoint';
  readonly source: Peer;
  readonly destination: Peer;
  /** Host, short name and namespace of the service that was called; '' where none is known. */
  readonly host: string;
  readonly service: string;
  readonly serviceNamespace: string;
  readonly protocol: 'http' | 'grpc' | 'tcp';
  readonly flags: string;
  readonly mutualTls: boolean;
}

/** Requests per second of one kind of answer. */
export interface RequestFlow extends Flow {
  readonly code: string;
  readonly grpcStatus: string;
  readonly rate: number;
}

/** How long the requests of a flow took. */
export interface LatencyFlow extends Flow {
  /** Requests per second that took at most so many milliseconds; Infinity for the last bucket. Empty buckets may be missing. */
  readonly buckets: readonly (readonly [bound: number, rate: number])[];
}

export interface TcpFlow extends Flow {
  readonly direction: 'sent' | 'received';
  readonly bytesPerSecond: number;
}

/** What the proxies have reported in a time range. */
export interface TrafficSamples {
  readonly requests: readonly RequestFlow[];
  readonly latencies: readonly LatencyFlow[];
  readonly tcp: readonly TcpFlow[];
}

export const noTraffic: TrafficSamples = { requests: [], latencies: [], tcp: [] };

const sides = ['source', 'destination'] as const;
const workloads = sides.flatMap((side) => [`${side}_workload`, `${side}_workload_namespace`]);
const revisions = sides.flatMap((side) => [`${side}_canonical_service`, `${side}_canonical_revision`]);
const pathLabels = [
  'reporter',
  ...workloads,
  'destination_service',
  'destination_service_name',
  'destination_service_namespace',
  'request_protocol',
];
const flowLabels = [...pathLabels, ...revisions];
const requestLabels = [
  ...flowLabels,
  'response_code',
  'grpc_response_status',
  'response_flags',
  'connection_security_policy',
];
// Buckets are by far the most: what the requests of the same workload tell already is left out.
const latencyLabels = ['le', ...pathLabels];
const tcpLabels = [...flowLabels, 'response_flags', 'connection_security_policy'];

/** A value within a PromQL string. */
export const quoted = (value: string): string =>
  `"${value.replace(/[\\"]/g, (sign) => `\\${sign}`).replaceAll('\n', '\\n')}"`;

/** A regular expression that matches exactly these texts. */
export const anyOf = (values: readonly string[]): string =>
  quoted(values.map((value) => value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'));

/**
 * The rate of a metric, of traffic that touches one of these namespaces; undefined: of all. One expression whatever the number of namespaces: what
 * several selectors find is counted once, because `or` joins by labels.
 */
function rateOf(metric: string, namespaces: readonly string[] | undefined, duration: number, more = ''): string {
  const rate = (selector: string): string => {
    const labels = [selector, more].filter((part) => part !== '').join(',');
    return `rate(${metric}${labels === '' ? '' : `{${labels}}`}[${duration}s])`;
  };
  if (namespaces === undefined) return rate('');
  const names = anyOf(namespaces);
  return ['source_workload_namespace', 'destination_workload_namespace', 'destination_service_namespace']
    .map((label) => rate(`${label}=~${names}`))
    .join(' or ');
}

/** The four queries that all traffic of a page comes from. `duration` in seconds. */
export function trafficQueries(namespaces: readonly string[] | undefined, duration: number) {
  const sum = (labels: readonly string[], rate: string): string => `sum by (${labels.join(',')}) (${rate}) > 0`;
  return {
    requests: sum(requestLabels, rateOf('istio_requests_total', namespaces, duration)),
    latencies: sum(latencyLabels, rateOf('istio_request_duration_milliseconds_bucket', namespaces, duration)),
    sent: sum(tcpLabels, rateOf('istio_tcp_sent_bytes_total', namespaces, duration)),
    received: sum(tcpLabels, rateOf('istio_tcp_received_bytes_total', namespaces, duration)),
  } as const;
}

/** Asks the four queries. Raises SourceError. */
export async function readTraffic(
  prometheus: Prometheus,
  namespaces: readonly string[] | undefined,
  duration: number,
  at: number,
): Promise<TrafficSamples> {
  const queries = trafficQueries(namespaces, duration);
  const [requests, latencies, sent, received] = await Promise.all(
    [queries.requests, queries.latencies, queries.sent, queries.received].map((query) => prometheus.query(query, at)),
  );
  return samplesOf({
    requests: requests ?? [],
    latencies: latencies ?? [],
    sent: sent ?? [],
    received: received ?? [],
  });
}

/** Puts the answers of the four queries together. */
export function samplesOf(answers: {
  readonly requests: readonly Sample[];
  readonly latencies: readonly Sample[];
  readonly sent: readonly Sample[];
  readonly received: readonly Sample[];
}): TrafficSamples {
  const tcp = (samples: readonly Sample[], direction: TcpFlow['direction']): readonly TcpFlow[] =>
    samples
      .filter(({ value }) => value > 0)
      .map(({ metric, value }) => ({ ...flowOf(metric, 'tcp'), direction, bytesPerSecond: value }));
  const requests = answers.requests
    .filter(({ value }) => value > 0)
    .map(({ metric, value }) => ({
      ...flowOf(metric),
      code: metric.response_code ?? '',
      grpcStatus: metric.grpc_response_status ?? '',
      rate: value,
    }));
  return {
    requests,
    latencies: latenciesOf(answers.latencies, requests),
    tcp: [...tcp(answers.sent, 'sent'), ...tcp(answers.received, 'received')],
  };
}

/** Puts the buckets of each flow together; which application and version its workloads are the requests tell. */
function latenciesOf(samples: readonly Sample[], requests: readonly RequestFlow[]): readonly LatencyFlow[] {
  const known = new Map<string, Peer>();
  for (const { source, destination } of requests)
    for (const peer of [source, destination]) known.set(`${peer.namespace}/${peer.workload}`, peer);
  const named = (peer: Peer): Peer => known.get(`${peer.namespace}/${peer.workload}`) ?? peer;
  const buckets = new Map<string, [bound: number, rate: number][]>();
  const flows = new Map<string, Flow>();
  for (const { metric, value } of samples) {
    if (!(value > 0)) continue;
    const key = pathLabels.map((label) => metric[label] ?? '').join('\u0000');
    const own = buckets.get(key);
    if (own) {
      own.push([boundOf(metric.le), value]);
      continue;
    }
    const flow = flowOf(metric);
    flows.set(key, { ...flow, source: named(flow.source), destination: named(flow.destination) });
    buckets.set(key, [[boundOf(metric.le), value]]);
  }
  return [...flows].map(([key, flow]) => ({ ...flow, buckets: buckets.get(key) ?? [] }));
}

const boundOf = (le: string | undefined): number => (le === '+Inf' || le === undefined ? Infinity : Number(le));

/** Istio writes `unknown` where it does not know. */
const known = (value: string | undefined): string => (value === undefined || value === 'unknown' ? '' : value);

function flowOf(metric: Readonly<Record<string, string>>, protocol?: 'tcp'): Flow {
  const peer = (side: 'source' | 'destination'): Peer => ({
    workload: known(metric[`${side}_workload`]),
    namespace: known(metric[`${side}_workload_namespace`]),
    app: known(metric[`${side}_canonical_service`]),
    version: known(metric[`${side}_canonical_revision`]),
  });
  const { reporter } = metric;
  return {
    reporter: reporter === 'source' || reporter === 'waypoint' ? reporter : 'destination',
    source: peer('source'),
    destination: peer('destination'),
    host: known(metric.destination_service),
    service: known(metric.destination_service_name),
    serviceNamespace: known(metric.destination_service_namespace),
    protocol: protocol ?? (metric.request_protocol === 'grpc' ? 'grpc' : 'http'),
    flags: metric.response_flags === '-' ? '' : (metric.response_flags ?? ''),
    mutualTls: metric.connection_security_policy === 'mutual_tls',
  };
}
