/** Milliseconds without a response after which nobody waits for one. */
const QUIET_MS = 250;
/** Bytes of garbage that are worth a collection. */
const WORTH_BYTES = 40 * 1024 * 1024;

/** What collecting needs of the process. */
export interface CollectorOptions {
  /** Collects all garbage, now. */
  readonly collect: () => void;
  /** Bytes that objects take in the heap, garbage among them. */
  readonly heapUsed: () => number;
  readonly now: () => number;
  /** Runs work once, after milliseconds, without keeping the process alive. */
  readonly later: (work: () => void, milliseconds: number) => void;
}

/**
 * Collects the garbage of a change when all proxies have it. V8 collects when the heap has grown far enough, which is while responses are made: the
 * last proxies of the next change would wait for it. Returns what to call for each response; in silence nothing runs.
 */
export function collectWhenQuiet({ collect, heapUsed, now, later }: CollectorOptions): () => void {
  let lastAt = 0;
  let kept = Number.POSITIVE_INFINITY;
  let armed = false;
  const look = (): void => {
    const left = lastAt + QUIET_MS - now();
    if (left > 0) {
      later(look, left);
      return;
    }
    armed = false;
    const used = heapUsed();
    // V8 may have collected meanwhile.
    kept = Math.min(kept, used);
    if (used - kept < WORTH_BYTES) return;
    collect();
    kept = heapUsed();
  };
  return () => {
    lastAt = now();
    if (armed) return;
    armed = true;
    later(look, QUIET_MS);
  };
}
