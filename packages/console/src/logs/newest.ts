import type { LogLine } from '../api.ts';

interface Placed {
  readonly at: number;
  readonly line: LogLine;
}

/**
 * Puts lines of several logs in the order of their times and keeps the newest of them, whatever the number that it is given: never more than twice
 * `most` are in memory. Lines without a time stay behind the line of the same log that came before them.
 */
export class Newest {
  readonly #most: number;
  readonly #times = new Map<string, number>();
  #lines: Placed[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** `log` names where the line is from; lines of one log come in their order. */
  add(log: string, line: LogLine): void {
    const at = line.time ?? this.#times.get(log) ?? 0;
    this.#times.set(log, at);
    this.#lines.push({ at, line });
    if (this.#lines.length > 2 * this.#most) this.#cut();
  }

  /** Oldest first. */
  lines(): readonly LogLine[] {
    this.#cut();
    return this.#lines.map(({ line }) => line);
  }

  #cut(): void {
    // Sorting keeps the order of equal times, so lines of one log stay as they were.
    this.#lines.sort((a, b) => a.at - b.at);
    if (this.#lines.length > this.#most) this.#lines = this.#lines.slice(this.#lines.length - this.#most);
  }
}
