import type { NodeMetrics } from './exposition.ts';
import { readMetricsMessage } from './families.ts';
import { Histograms } from './histograms.ts';

const MAX_BYTES = 256 * 1024 * 1024;

export interface MetricStoreOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Proxies that are remembered at a time, default 5,000. */
  readonly maxNodes?: number;
  /** Bytes of all proxies' last messages together, default 256 MiB. */
  readonly maxBytes?: number;
  /** A proxy that has sent nothing for so long is forgotten, default 5 minutes. */
  readonly forgetAfterMs?: number;
}

export interface NodeName {
  readonly id: string;
  readonly cluster: string;
}

interface Remembered {
  readonly cluster: string;
  readonly bytes: Buffer;
  readonly histograms: Histograms;
  /** Of message and histograms together. */
  readonly size: number;
  readonly at: number;
}

/**
 * The last message of each proxy, as it came: Envoy sends all of its metrics with every flush, counters and gauges as they are, so the last one says it all.
 * Histograms hold what came since the last flush, and are added up. What is kept is encoded, so that its size is known.
 */
export class MetricStore {
  readonly #options: MetricStoreOptions;
  readonly #nodes = new Map<string, Remembered>();
  #bytes = 0;
  #refused = 0;

  constructor(options: MetricStoreOptions) {
    this.#options = options;
  }

  /** Takes a message of a proxy; false where there is no room for it. Raises DecodeError. */
  put(node: NodeName, bytes: Buffer): boolean {
    const message = readMetricsMessage(bytes);
    if (!this.#hasRoom(node.id, bytes.length)) this.forgetOld();
    if (!this.#hasRoom(node.id, bytes.length)) {
      this.#refused++;
      return false;
    }
    const histograms = this.#nodes.get(node.id)?.histograms ?? new Histograms();
    const { maxBytes = MAX_BYTES } = this.#options;
    histograms.add(message.families, maxBytes - this.#bytes);
    this.#remove(node.id);
    const size = bytes.length + histograms.bytes;
    // A copy: the buffer may be a view of a much larger one.
    this.#nodes.set(node.id, {
      cluster: node.cluster,
      bytes: Buffer.from(bytes),
      histograms,
      size,
      at: this.#options.now(),
    });
    this.#bytes += size;
    return true;
  }

  #hasRoom(id: string, length: number): boolean {
    const { maxNodes = 5000, maxBytes = MAX_BYTES } = this.#options;
    const before = this.#nodes.get(id);
    const freed = before?.bytes.length ?? 0;
    return this.#bytes - freed + length <= maxBytes && (before !== undefined || this.#nodes.size < maxNodes);
  }

  /** Forgets proxies that have not sent for long. */
  forgetOld(): void {
    const { now, forgetAfterMs = 5 * 60_000 } = this.#options;
    const oldest = now() - forgetAfterMs;
    for (const [id, { at }] of this.#nodes) if (at < oldest) this.#remove(id);
  }

  *nodes(): Generator<NodeMetrics> {
    this.forgetOld();
    for (const [node, { cluster, bytes, histograms }] of this.#nodes)
      yield { node, cluster, families: histograms.applyTo(readMetricsMessage(bytes).families) };
  }

  get size(): { readonly nodes: number; readonly bytes: number; readonly refused: number } {
    return { nodes: this.#nodes.size, bytes: this.#bytes, refused: this.#refused };
  }

  #remove(id: string): void {
    const found = this.#nodes.get(id);
    if (found === undefined) return;
    this.#bytes -= found.size;
    this.#nodes.delete(id);
  }
}
