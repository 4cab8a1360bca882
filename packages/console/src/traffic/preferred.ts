import type { Flow, TrafficSamples } from './samples.ts';

/** Who is believed first about the same traffic: the client's side knows what never arrived. */
const rank: Readonly<Record<Flow['reporter'], number>> = { source: 0, waypoint: 1, destination: 2 };

const peer = ({ workload, namespace }: Flow['source']): string => `${namespace}/${workload}`;

/** The two workloads of a flow, and whether it is of requests or of bytes: each such traffic is counted once. */
const pairOf = (flow: Flow): string =>
  `${peer(flow.source)} ${peer(flow.destination)} ${flow.protocol === 'tcp' ? 'tcp' : 'http'}`;

/**
 * Both sides report the same traffic. This keeps what the client's proxy says, else the waypoint's, else the server's: of clients without a proxy
 * only the server knows. Whether traffic is in mutual TLS only the server's side knows, so that is asked of all reports.
 */
export function preferred(samples: TrafficSamples): TrafficSamples & {
  /** Share of mutual TLS between the two workloads of a flow; undefined where no report tells. */
  readonly mutualTlsOf: (flow: Flow) => number | undefined;
} {
  const best = new Map<string, number>();
  const security = new Map<string, { secured: number; seen: number }>();
  const note = (flow: Flow, amount: number): void => {
    const pair = pairOf(flow);
    best.set(pair, Math.min(best.get(pair) ?? Infinity, rank[flow.reporter]));
    // A client's proxy that does not say mutual TLS says nothing.
    if (flow.reporter === 'source' && !flow.mutualTls) return;
    const sum = security.get(pair) ?? { secured: 0, seen: 0 };
    sum.seen += amount;
    if (flow.mutualTls) sum.secured += amount;
    security.set(pair, sum);
  };
  for (const flow of samples.requests) note(flow, flow.rate);
  for (const flow of samples.tcp) note(flow, flow.bytesPerSecond);
  const keep = (flow: Flow): boolean => best.get(pairOf(flow)) === rank[flow.reporter];
  return {
    requests: samples.requests.filter(keep),
    latencies: samples.latencies.filter(keep),
    tcp: samples.tcp.filter(keep),
    mutualTlsOf: (flow) => {
      const sum = security.get(pairOf(flow));
      return sum && sum.seen > 0 ? sum.secured / sum.seen : undefined;
    },
  };
}
