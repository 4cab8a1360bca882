/** Byte counters of TCP connections, and the gauges of connections that are still open, which istiod asks for with a Telemetry's `reportingInterval`. */
const COUNTER = /^(# TYPE )?(istio_tcp_(?:sent|received)_bytes_total)(_open)?[ {]/;
const LINE = /^(istio_tcp_(?:sent|received)_bytes_total)(_open)?\{(.*)\} (\S+)$/;
const CONNECTION = /(?:^|,)connection="[^"]*"/;

/**
 * Adds what has gone through open TCP connections to the counters of bytes, so that a scrape shows them while they are open. Envoy counts the bytes
 * of a connection when it ends and tells of those before only in a gauge per connection (label `connection`).
 */
export class OpenConnections {
  /** Sums by metric, then by labels. */
  readonly #sums = new Map<string, Map<string, number>>();

  /** Takes the lines about bytes out of a text of whole lines. */
  take(text: string): string {
    if (!text.includes('istio_tcp_')) return text;
    return text
      .split('\n')
      .filter((line) => !this.#keeps(line))
      .join('\n');
  }

  #keeps(line: string): boolean {
    if (!COUNTER.test(line)) return false;
    const [, name = '', , labels = '', value = ''] = LINE.exec(line) ?? [];
    if (name === '') return true;
    const key = labels.replace(CONNECTION, '').replace(/^,/, '');
    const sums = this.#sums.get(name) ?? new Map<string, number>();
    this.#sums.set(name, sums);
    sums.set(key, (sums.get(key) ?? 0) + Number(value));
    return true;
  }

  /** The counters with their sums. */
  end(): string {
    let text = '';
    for (const [name, sums] of this.#sums) {
      text += `# TYPE ${name} counter\n`;
      for (const [labels, value] of sums) text += `${name}{${labels}} ${value}\n`;
    }
    this.#sums.clear();
    return text;
  }
}
