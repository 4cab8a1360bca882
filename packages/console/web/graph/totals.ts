import type { Graph } from '../../src/api.ts';

export interface Totals {
  /** Per second. */
  readonly requests: number;
  /** Share of the requests, 0 to 1. */
  readonly errors: number;
  /** Bytes per second in both directions. */
  readonly tcp: number;
  /** Share of the edges with traffic that is in mutual TLS, 0 to 1; undefined where it is known of none. */
  readonly locked: number | undefined;
  /** Edges with traffic of which it is not known: the called side reports nothing. */
  readonly unclear: number;
}

/** Figures of all calls together. A call by way of a service's node is counted where it begins, not again where it goes on to a workload. */
export function totalsOf(graph: Graph): Totals {
  const passing = new Set(
    graph.type === 'service' ? [] : graph.nodes.filter(({ kind }) => kind === 'service').map(({ id }) => id),
  );
  const calls = graph.edges.filter(({ source }) => !passing.has(source));
  const http = calls.filter(({ protocol }) => protocol !== 'tcp');
  const requests = http.reduce((sum, { traffic }) => sum + traffic.requestsPerSecond, 0);
  const failed = http.reduce((sum, { traffic }) => sum + traffic.requestsPerSecond * traffic.errorRate, 0);
  const tcp = calls.reduce(
    (sum, { traffic }) => sum + traffic.tcpSentBytesPerSecond + traffic.tcpReceivedBytesPerSecond,
    0,
  );
  const busy = graph.edges.filter(({ traffic, protocol }) =>
    protocol === 'tcp' ? traffic.tcpSentBytesPerSecond > 0 : traffic.requestsPerSecond > 0,
  );
  const known = busy.flatMap(({ mutualTls }) => mutualTls ?? []);
  const locked = known.length === 0 ? undefined : known.reduce((sum, share) => sum + share, 0) / known.length;
  return { requests, errors: requests === 0 ? 0 : failed / requests, tcp, locked, unclear: busy.length - known.length };
}
