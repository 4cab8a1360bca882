/** Counters that Envoy keeps in more series than Istio's metrics have: with a label for each open connection, or for each number of messages. */
const FOLDED =
  /^(?:# TYPE )?istio_(?:tcp_(?:sent|received)_bytes_total|(?:request|response)_messages_total)(?:_open)?[ {]/;
const LINE = /^(istio_\w+?_total)(?:_open)?\{(.*)\} (\S+)$/;
const OWN_LABEL = /(?:^|,)(connection|messages)="([^"]*)"/;

/** How often a series counts: once, or as many times as its streams had messages (`REQUESTS,RESPONSES`). */
function factor(name: string, label: string | undefined, value: string | undefined): number {
  if (label !== 'messages') return 1;
  const [requests, responses] = (value ?? '').split(',');
  return Number(name.startsWith('istio_request_') ? requests : responses) || 0;
}

/**
 * Turns counters of Envoy into those of Istio: bytes of TCP connections, which Envoy counts when they end and tells in a gauge per connection before
 * (label `connection`, where a Telemetry has a `reportingInterval`), and messages of gRPC, of which it counts the streams by their number of messages
 * (label `messages`).
 */
export class FoldedMetrics {
  /** Sums by metric, then by labels. */
  readonly #sums = new Map<string, Map<string, number>>();

  /** Takes the lines of such metrics out of a text of whole lines. */
  take(text: string): string {
    if (!text.includes('istio_tcp_') && !text.includes('_messages_total')) return text;
    return text
      .split('\n')
      .filter((line) => !this.#keeps(line))
      .join('\n');
  }

  #keeps(line: string): boolean {
    if (!FOLDED.test(line)) return false;
    const [, name = '', labels = '', value = ''] = LINE.exec(line) ?? [];
    if (name === '') return true;
    const [whole = '', label, own] = OWN_LABEL.exec(labels) ?? [];
    const key = labels.replace(whole, '').replace(/^,/, '');
    const sums = this.#sums.get(name) ?? new Map<string, number>();
    this.#sums.set(name, sums);
    sums.set(key, (sums.get(key) ?? 0) + Number(value) * factor(name, label, own));
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
