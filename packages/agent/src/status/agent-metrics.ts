/** Metrics of the agent itself, in Prometheus' text format, with Istio's names and its prefix `istio_agent_`. */

interface Series {
  readonly kind: 'counter' | 'gauge';
  readonly help: string;
  readonly values: Map<string, number>;
}

export interface AgentMetricsOptions {
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Bytes. */
  readonly residentMemory: () => number;
  /** Seconds of CPU since the start; absent where nobody asks. */
  readonly cpuSeconds?: () => number;
}

/** Counters and gauges that live as long as the agent. */
export class AgentMetrics {
  readonly #options: AgentMetricsOptions;
  readonly #series = new Map<string, Series>();
  readonly #expiries = new Map<string, number>();
  readonly #started: number;
  readonly #others: (() => string)[] = [];

  constructor(options: AgentMetricsOptions) {
    this.#options = options;
    this.#started = options.now();
    for (const type of ['envoy', 'application', 'agent'])
      this.#add('scrape_failures_total', 'counter', 'Scrapes that failed.', { type }, 0);
    this.#add('scrapes_total', 'counter', 'Scrapes of the merged metrics.', {}, 0);
  }

  #add(
    name: string,
    kind: Series['kind'],
    help: string,
    labels: Readonly<Record<string, string>>,
    amount: number,
  ): void {
    let series = this.#series.get(name);
    if (series === undefined) {
      series = { kind, help, values: new Map() };
      this.#series.set(name, series);
    }
    const key = formatLabels(labels);
    series.values.set(key, kind === 'gauge' ? amount : (series.values.get(key) ?? 0) + amount);
  }

  scrape(): void {
    this.#add('scrapes_total', 'counter', '', {}, 1);
  }

  scrapeFailure(type: 'envoy' | 'application' | 'agent'): void {
    this.#add('scrape_failures_total', 'counter', '', { type }, 1);
  }

  outgoingRequest(request_type: string, resource_name: string): void {
    this.#add('num_outgoing_requests', 'counter', 'Requests to the CA.', { request_type, resource_name }, 1);
  }

  outgoingFailure(request_type: string, resource_name: string): void {
    this.#add(
      'num_failed_outgoing_requests',
      'counter',
      'Requests to the CA that failed.',
      { request_type, resource_name },
      1,
    );
  }

  outgoingRetry(request_type: string): void {
    this.#add('num_outgoing_retries', 'counter', 'Repetitions of requests to the CA.', { request_type }, 1);
  }

  outgoingLatency(request_type: string, resource_name: string, milliseconds: number): void {
    this.#add(
      'outgoing_latency',
      'counter',
      'Time spent in requests to the CA, in milliseconds.',
      { request_type, resource_name },
      milliseconds,
    );
  }

  fileSecretFailure(): void {
    this.#add('num_file_secret_failures_total', 'counter', 'Secrets that could not be read from files.', {}, 1);
  }

  fileWatcherFailure(): void {
    this.#add(
      'num_file_watcher_failures_total',
      'counter',
      'Folders of certificates that could not be watched.',
      {},
      1,
    );
  }

  startupFinished(): void {
    this.#add(
      'startup_duration_seconds',
      'gauge',
      'Time from the start of the agent to readiness.',
      {},
      (this.#options.now() - this.#started) / 1000,
    );
  }

  /** `notAfter` in milliseconds since 1970. */
  certificateExpiry(resource: string, notAfter: number): void {
    this.#expiries.set(resource, notAfter);
  }

  /** Adds the metrics of a part of the agent that counts for itself, in Prometheus' text format. */
  include(render: () => string): void {
    this.#others.push(render);
  }

  render(): string {
    const now = this.#options.now();
    for (const [resource_name, notAfter] of this.#expiries) {
      this.#add(
        'cert_expiry_seconds',
        'gauge',
        'Time until the certificate ends.',
        { resource_name },
        (notAfter - now) / 1000,
      );
    }
    this.#add(
      'process_resident_memory_bytes',
      'gauge',
      'Resident memory of the agent.',
      {},
      this.#options.residentMemory(),
    );
    this.#add('process_start_time_seconds', 'gauge', 'Start of the agent.', {}, this.#started / 1000);
    const { cpuSeconds } = this.#options;
    if (cpuSeconds !== undefined) {
      const series = this.#series.get('process_cpu_seconds_total');
      if (series === undefined)
        this.#add('process_cpu_seconds_total', 'counter', 'CPU time of the agent, in seconds.', {}, cpuSeconds());
      else series.values.set('', cpuSeconds());
    }
    let text = `# HELP istio_build Istio component build info\n# TYPE istio_build gauge\nistio_build{component="proxy",tag="${escapeLabel(this.#options.version)}"} 1\n`;
    for (const [name, series] of this.#series) {
      text += `# HELP istio_agent_${name} ${series.help}\n# TYPE istio_agent_${name} ${series.kind}\n`;
      for (const [labels, value] of series.values) text += `istio_agent_${name}${labels} ${value}\n`;
    }
    return text + this.#others.map((render) => render()).join('');
  }
}

function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
