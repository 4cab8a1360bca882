/** Limits of the buckets, in milliseconds. */
const BUCKETS = Array.from({ length: 15 }, (_, power) => 2 ** power);

/** What modules of filters cost, in Prometheus' text format and with Istio's names. */
export class ModuleCounters {
  readonly #lookups = { true: 0, false: 0 };
  readonly #fetches = { success: 0, download_failure: 0 };
  readonly #conversions = { success: 0, fetch_failure: 0 };
  readonly #buckets: number[] = BUCKETS.map(() => 0);
  #kept = 0;
  #milliseconds = 0;

  /** A module was asked for; it is there, or it has to be fetched. */
  lookup(hit: boolean): void {
    this.#lookups[hit ? 'true' : 'false']++;
  }

  fetched(succeeded: boolean): void {
    this.#fetches[succeeded ? 'success' : 'download_failure']++;
  }

  /** So many modules are kept. */
  kept(count: number): void {
    this.#kept = count;
  }

  /** The configuration of a filter got its module's file in the place of the address, or did not. */
  converted(succeeded: boolean, milliseconds: number): void {
    this.#conversions[succeeded ? 'success' : 'fetch_failure']++;
    this.#milliseconds += milliseconds;
    BUCKETS.forEach((limit, index) => {
      if (milliseconds <= limit) this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    });
  }

  render(): string {
    const metric = (name: string, type: string, help: string, lines: readonly string[]): string =>
      `# HELP istio_agent_${name} ${help}\n# TYPE istio_agent_${name} ${type}\n${lines.map((line) => `istio_agent_${name}${line}\n`).join('')}`;
    const series = (label: string, counts: Readonly<Record<string, number>>): readonly string[] =>
      Object.entries(counts).map(([value, count]) => `{${label}="${value}"} ${count}`);
    const total = this.#conversions.success + this.#conversions.fetch_failure;
    return [
      metric('wasm_cache_entries', 'gauge', 'Modules of filters that are kept.', [` ${this.#kept}`]),
      metric('wasm_cache_lookup_count', 'counter', 'Lookups of modules of filters.', series('hit', this.#lookups)),
      metric('wasm_remote_fetch_count', 'counter', 'Modules fetched, or not.', series('result', this.#fetches)),
      metric(
        'wasm_config_conversion_count',
        'counter',
        'Filters that got their modules, or not.',
        series('result', this.#conversions),
      ),
      metric('wasm_config_conversion_duration', 'histogram', 'Milliseconds until a filter has its module, or not.', [
        ...BUCKETS.map((limit, index) => `_bucket{le="${limit}"} ${this.#buckets[index]}`),
        `_bucket{le="+Inf"} ${total}`,
        `_sum ${this.#milliseconds}`,
        `_count ${total}`,
      ]),
    ].join('');
  }
}
