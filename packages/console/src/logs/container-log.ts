import type { KubeClient } from '@istio-ts/kube';
import type { LogLine } from '../api.ts';
import { logLine } from './access-log.ts';

/** One log: of a container of a pod. */
export interface LogSource {
  readonly pod: string;
  readonly container: string;
  /** Changes when the container is started again: a log that has ended is then worth another look. */
  readonly start: string;
  /** The pod runs no more: nothing will be added. */
  readonly ended: boolean;
}

export interface LogRange {
  readonly namespace: string;
  /** Lines of what is there already. */
  readonly tail: number;
  /** RFC 3339. */
  readonly sinceTime: string | undefined;
}

/**
 * Reads one log in two parts without a gap and without a line twice: what is there, which ends and so can be put in order with that of other logs, and
 * what is added. The kubelet takes times to the second only, so the second part begins with lines that the first had already.
 */
export class ContainerLog {
  readonly source: LogSource;
  readonly #client: KubeClient;
  readonly #range: LogRange;
  readonly #signal: AbortSignal;
  /** Time of the newest line, and all lines of that time as they came. */
  #last: { readonly time: number; readonly lines: Set<string> } | undefined;

  constructor(client: KubeClient, source: LogSource, range: LogRange, signal: AbortSignal) {
    this.#client = client;
    this.source = source;
    this.#range = range;
    this.#signal = signal;
  }

  /** Raises KubeApiError, for example of a container that has not started. */
  async present(each: (line: LogLine) => void): Promise<void> {
    const { tail, sinceTime } = this.#range;
    // What has been written until now has to be known, or it would be taken for new.
    for await (const raw of await this.#open(false, { tailLines: Math.max(1, tail), sinceTime })) {
      const line = this.#note(raw);
      if (tail > 0) each(line);
    }
  }

  /** Lines after those of `present`; ends with the container. Raises KubeApiError, and AbortError when nobody listens any more. */
  async *added(): AsyncGenerator<LogLine> {
    const last = this.#last;
    const sinceTime =
      last === undefined ? this.#range.sinceTime : new Date(Math.floor(last.time / 1000) * 1000).toISOString();
    for await (const raw of await this.#open(true, { sinceTime })) {
      const line = logLine(this.source.container, raw);
      if (last && line.time !== undefined && (line.time < last.time || last.lines.has(raw))) continue;
      yield this.#note(raw);
    }
  }

  #open(follow: boolean, range: { readonly tailLines?: number; readonly sinceTime: string | undefined }) {
    const { tailLines, sinceTime } = range;
    return this.#client.logs(this.#range.namespace, this.source.pod, {
      container: this.source.container,
      follow,
      timestamps: true,
      signal: this.#signal,
      ...(tailLines !== undefined && { tailLines }),
      ...(sinceTime !== undefined && { sinceTime }),
    });
  }

  #note(raw: string): LogLine {
    const line = logLine(this.source.container, raw);
    if (line.time === undefined) return line;
    if (this.#last?.time === line.time) this.#last.lines.add(raw);
    else this.#last = { time: line.time, lines: new Set([raw]) };
    return line;
  }
}
