/** What the DNS proxy counts. */
export interface DnsMetrics {
  request(): void;
  failure(): void;
  /** A query goes to a name server; call what it returns when there is an answer or none. */
  startUpstream(): () => void;
}

/** Limits of the buckets, in seconds. */
const BUCKETS = [0.001, 0.005, 0.01, 0.1, 1, 5] as const;

/** Counters in Prometheus' text format, with Istio's names. `now` is in milliseconds. */
export class DnsCounters implements DnsMetrics {
  readonly #now: () => number;
  readonly #buckets: number[] = BUCKETS.map(() => 0);
  #requests = 0;
  #upstreamRequests = 0;
  #failures = 0;
  #durations = 0;
  #seconds = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  request(): void {
    this.#requests++;
  }

  failure(): void {
    this.#failures++;
  }

  startUpstream(): () => void {
    this.#upstreamRequests++;
    const started = this.#now();
    return () => {
      const seconds = (this.#now() - started) / 1000;
      this.#durations++;
      this.#seconds += seconds;
      BUCKETS.forEach((limit, index) => {
        if (seconds <= limit) this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
      });
    };
  }

  render(): string {
    const counter = (name: string, help: string, value: number): string =>
      `# HELP istio_agent_${name} ${help}\n# TYPE istio_agent_${name} counter\nistio_agent_${name} ${value}\n`;
    const histogram = 'istio_agent_dns_upstream_request_duration_seconds';
    return [
      counter('dns_requests_total', 'DNS queries of the pod.', this.#requests),
      counter('dns_upstream_requests_total', 'DNS queries handed on to name servers.', this.#upstreamRequests),
      counter('dns_upstream_failures_total', 'DNS queries that no name server answered.', this.#failures),
      `# HELP ${histogram} Time that name servers take.\n# TYPE ${histogram} histogram\n`,
      ...BUCKETS.map((limit, index) => `${histogram}_bucket{le="${limit}"} ${this.#buckets[index]}\n`),
      `${histogram}_bucket{le="+Inf"} ${this.#durations}\n${histogram}_sum ${this.#seconds}\n${histogram}_count ${this.#durations}\n`,
    ].join('');
  }
}
