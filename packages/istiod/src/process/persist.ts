import type { Logger } from '../log.ts';

/**
 * Tries something that istiod cannot start without until it works, and says each time what is in the way. The wait doubles from half a second to 15 s.
 * Rejects only when `signal` aborts.
 */
export async function persist<T>(
  what: string,
  work: () => Promise<T>,
  options: {
    readonly log: Logger;
    readonly sleep: (ms: number) => Promise<unknown>;
    readonly signal?: AbortSignal;
  },
): Promise<T> {
  for (let delayMs = 500; ; delayMs = Math.min(delayMs * 2, 15_000)) {
    options.signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      options.log.error(
        `${what}: ${error instanceof Error ? error.message : error}; trying again in ${delayMs / 1000} s`,
      );
      await options.sleep(delayMs);
    }
  }
}
