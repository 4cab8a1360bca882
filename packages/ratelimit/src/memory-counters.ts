import type { Counters, Hit } from './counters.ts';

interface Window {
  readonly start: number;
  readonly counts: Map<string, number>;
}

/** Descriptors that are counted at a time, for each length of window. */
const MAX_KEYS = 500_000;

/** Counters of one process. Those of a window go with it; where one has too many the oldest are forgotten, which begin anew. */
export function createMemoryCounters(maxKeys = MAX_KEYS): Counters {
  const windows = new Map<number, Window>();
  const add = ({ key, windowSeconds, windowStart, hits }: Hit): number => {
    let window = windows.get(windowSeconds);
    if (window === undefined || window.start !== windowStart) {
      window = { start: windowStart, counts: new Map() };
      windows.set(windowSeconds, window);
    }
    const { counts } = window;
    const before = counts.get(key);
    const after = Math.max(0, (before ?? 0) + hits);
    if (before === undefined && counts.size >= maxKeys) {
      const [oldest] = counts.keys();
      if (oldest !== undefined) counts.delete(oldest);
    }
    counts.set(key, after);
    return after;
  };
  return { add: (hits) => hits.map(add), healthy: true, close: () => windows.clear() };
}
