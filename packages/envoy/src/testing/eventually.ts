import { setTimeout as wait } from 'node:timers/promises';
import { inspect } from 'node:util';

/** Waiting for conditions in tests: no sleep is right on every machine. */

const DEADLINE_MS = 120_000;

const isThere = (value: unknown): boolean => value !== undefined && value !== false;

/**
 * Asks until the answer pleases (`good`; by default, one that is neither undefined nor false). An error is no answer. Rejects after two minutes with the last
 * answer or error, and with what `details` tells.
 */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T>;
export async function eventually<T>(
  what: string,
  ask: () => T | Promise<T>,
  good: (value: T) => boolean,
  details?: () => string,
): Promise<T>;
export async function eventually<T>(
  what: string,
  ask: () => T | Promise<T>,
  good: (value: T) => boolean = isThere,
  details: () => string = () => '',
): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    let last: unknown;
    try {
      const value = await ask();
      if (good(value)) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      const shown = last instanceof Error ? last.message : inspect(last, { depth: 6 });
      throw new Error(`${what} did not happen in time; last: ${shown}\n${details()}`, { cause: last });
    }
    await wait(20);
  }
}
