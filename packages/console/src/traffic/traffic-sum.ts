import type { Traffic } from '../api.ts';
import type { LatencyFlow, RequestFlow, TcpFlow } from './samples.ts';

/** Whether an answer is a failure: HTTP 5xx, no answer at all (code 0), or a gRPC status that is not OK. */
export const isFailure = ({ code, grpcStatus }: Pick<RequestFlow, 'code' | 'grpcStatus'>): boolean =>
  /^5|^0$/.test(code) || (grpcStatus !== '' && grpcStatus !== '0');

/** How an answer is called: `200`, `503 UO`, `200 gRPC 14`. */
export function codeOf({ code, grpcStatus, flags }: Pick<RequestFlow, 'code' | 'grpcStatus' | 'flags'>): string {
  const status = grpcStatus !== '' && grpcStatus !== '0' ? `gRPC ${grpcStatus}` : '';
  return [code === '' ? '0' : code, status, flags].filter((part) => part !== '').join(' ');
}

/** Adds up what belongs together. */
export class TrafficSum {
  requests = 0;
  failures = 0;
  sent = 0;
  received = 0;
  readonly codes = new Map<string, number>();
  readonly #buckets = new Map<number, number>();
  #secured = 0;
  #seen = 0;

  addRequests(flow: RequestFlow): void {
    this.requests += flow.rate;
    if (isFailure(flow)) this.failures += flow.rate;
    const code = codeOf(flow);
    this.codes.set(code, (this.codes.get(code) ?? 0) + flow.rate);
  }

  addLatency({ buckets }: LatencyFlow): void {
    for (const [bound, rate] of buckets) this.#buckets.set(bound, (this.#buckets.get(bound) ?? 0) + rate);
  }

  addTcp({ direction, bytesPerSecond }: TcpFlow): void {
    if (direction === 'sent') this.sent += bytesPerSecond;
    else this.received += bytesPerSecond;
  }

  /** What the server's side has said of the connections, by the amount of traffic. */
  addSecurity(mutualTls: boolean, amount: number): void {
    this.#seen += amount;
    if (mutualTls) this.#secured += amount;
  }

  /** 0 to 1; undefined where nobody has said. */
  get mutualTls(): number | undefined {
    return this.#seen === 0 ? undefined : this.#secured / this.#seen;
  }

  get isEmpty(): boolean {
    return this.requests === 0 && this.sent === 0 && this.received === 0;
  }

  quantile(q: number): number | undefined {
    return quantile(q, this.#buckets);
  }

  traffic(): Traffic {
    const [p50, p95, p99] = this.requests > 0 ? [0.5, 0.95, 0.99].map((q) => this.quantile(q)) : [];
    return {
      requestsPerSecond: this.requests,
      errorRate: this.requests === 0 ? 0 : Math.min(1, this.failures / this.requests),
      ...(p50 !== undefined && { p50 }),
      ...(p95 !== undefined && { p95 }),
      ...(p99 !== undefined && { p99 }),
      tcpSentBytesPerSecond: this.sent,
      tcpReceivedBytesPerSecond: this.received,
    };
  }
}

/**
 * The quantile of a histogram with cumulative buckets, as PromQL's histogram_quantile finds it: linear within a bucket, the bound before the last where
 * it falls into the last. Buckets that nobody counted in may be missing at the lower end. Undefined without observations.
 */
export function quantile(q: number, buckets: ReadonlyMap<number, number>): number | undefined {
  const sorted = [...buckets].sort(([a], [b]) => a - b);
  const total = sorted.at(-1)?.[1] ?? 0;
  if (!(total > 0)) return undefined;
  const rank = q * total;
  // Sums of rates may fall a little where buckets must rise.
  let below = 0;
  for (const [at, [bound, count]] of sorted.entries()) {
    const cumulative = Math.max(count, below);
    if (cumulative >= rank) {
      const lower = lowerBound(bound, at === 0 ? undefined : sorted[at - 1]?.[0]);
      if (bound === Infinity) return lower;
      const inside = cumulative - below;
      return inside === 0 ? bound : lower + ((bound - lower) * (rank - below)) / inside;
    }
    below = cumulative;
  }
  return sorted.at(-1)?.[0];
}

/** Bounds of Istio's histograms of latency, in milliseconds (Envoy's defaults): empty buckets are left out of answers, their bounds are still known. */
const bounds = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

const lowerBound = (bound: number, previous: number | undefined): number =>
  previous ?? bounds.findLast((each) => each < bound) ?? 0;
