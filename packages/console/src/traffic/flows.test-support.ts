import type { Sample } from '../sources/prometheus.ts';
import { samplesOf, type TrafficSamples } from './samples.ts';

/** One kind of request as both proxies report it, in few words. */
export interface Talk {
  /** `namespace/workload[@version]`; undefined: a client that nobody knows. */
  readonly from?: string;
  /** The same; undefined: nothing answered. */
  readonly to?: string;
  /** `namespace/name`, or a host. */
  readonly service: string;
  readonly rate: number;
  readonly code?: string;
  readonly flags?: string;
  readonly grpc?: string;
  readonly protocol?: 'http' | 'grpc' | 'tcp';
  readonly mutualTls?: boolean;
  /** Milliseconds that all of them took at most: a bucket of Istio's. */
  readonly within?: number;
  /** Who reports; default: both where both are known. */
  readonly reporters?: readonly ('source' | 'destination' | 'waypoint')[];
}

const peer = (side: string, name: string | undefined): Readonly<Record<string, string>> => {
  const [, namespace = 'unknown', workload = 'unknown', version] =
    /^([^/]+)\/([^@]+)(?:@(.+))?$/.exec(name ?? '') ?? [];
  const app = workload.replace(/-v\d+$/, '');
  return {
    [`${side}_workload`]: workload,
    [`${side}_workload_namespace`]: namespace,
    [`${side}_canonical_service`]: app,
    [`${side}_canonical_revision`]: version ?? (name === undefined ? 'unknown' : 'latest'),
  };
};

const withoutRevisions = (metric: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(metric).filter(([label]) => !label.includes('_canonical_')));

/** The answers of Prometheus to the four queries. */
export function answersOf(talks: readonly Talk[]) {
  const requests: Sample[] = [];
  const latencies: Sample[] = [];
  const sent: Sample[] = [];
  const received: Sample[] = [];
  for (const talk of talks) {
    const [namespace = '', name] = talk.service.split('/');
    const service =
      name === undefined
        ? {
            destination_service: talk.service,
            destination_service_name: talk.service,
            destination_service_namespace: 'unknown',
          }
        : {
            destination_service: `${name}.${namespace}.svc.cluster.local`,
            destination_service_name: name,
            destination_service_namespace: namespace,
          };
    const both = [...(talk.from === undefined ? [] : ['source']), ...(talk.to === undefined ? [] : ['destination'])];
    for (const reporter of talk.reporters ?? both) {
      const flow = {
        reporter,
        ...peer('source', talk.from),
        ...peer('destination', talk.to),
        ...service,
        request_protocol: talk.protocol ?? 'http',
      };
      const security = reporter === 'destination' ? (talk.mutualTls === false ? 'none' : 'mutual_tls') : 'unknown';
      const answer = { response_flags: talk.flags ?? '-', connection_security_policy: security };
      if (talk.protocol === 'tcp') {
        sent.push({ metric: { ...flow, ...answer }, value: talk.rate });
        received.push({ metric: { ...flow, ...answer }, value: talk.rate / 2 });
        continue;
      }
      const status = talk.protocol === 'grpc' ? (talk.grpc ?? '0') : '';
      const metric = { ...flow, ...answer, response_code: talk.code ?? '200', grpc_response_status: status };
      requests.push({ metric, value: talk.rate });
      for (const le of [String(talk.within ?? 10), '+Inf'])
        latencies.push({ metric: { ...withoutRevisions(flow), le }, value: talk.rate });
    }
  }
  return { requests, latencies, sent, received };
}

export const samplesFrom = (talks: readonly Talk[]): TrafficSamples => samplesOf(answersOf(talks));
