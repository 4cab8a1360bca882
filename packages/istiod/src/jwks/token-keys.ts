import type { Cell, SourceCollection } from '@istio-ts/collections';
import { canonicalKeySet, type FetchedKeys, KeySetError, type WantedKeys } from '@istio-ts/mesh';
import { FetchError } from '@istio-ts/security/fetch/fetch';
import type { Logger } from '../log.ts';

export interface KeyFetching {
  /** Text of a document; raises FetchError. */
  readonly fetch: (url: string, timeoutMs: number) => Promise<string>;
  /** Runs work once after a time; the result takes it back. */
  readonly after: (ms: number, work: () => void) => () => void;
  /** Time between two fetches of keys that are there (PILOT_JWT_PUB_KEY_REFRESH_INTERVAL). */
  readonly refreshMs: number;
  /** From 0 to 1: fetches of many issuers are spread. */
  readonly random: () => number;
  /** Hears of each fetch of a document. */
  readonly onFetch: (succeeded: boolean) => void;
  readonly log: Logger;
}

/** Wait after a first failure; doubled with each further one. */
const RETRY_MS = 1000;
/** Longest wait while there are no keys at all: tokens are refused as long. */
const LONGEST_WITHOUT_KEYS_MS = 60_000;
/** How often keys are asked for before proxies that start have to do without. */
const FIRST_ATTEMPTS = 3;
/** How long keys that nobody wants any more are kept: policies are often replaced by deleting and creating. */
const KEPT_MS = 60_000;

interface Entry {
  wanted: WantedKeys;
  failures: number;
  cancel: () => void;
  isLeaving: boolean;
  /** Called when there is a result, or nothing after so many attempts that nobody should wait for it. */
  readonly settled: () => void;
}

const WELL_KNOWN = '/.well-known/openid-configuration';

/** Where the keys of an issuer are (OpenID Connect Discovery 1.0, section 4). Raises FetchError. */
async function discover(issuer: string, timeoutMs: number, fetch: KeyFetching['fetch']): Promise<string> {
  if (!/^https?:\/\//.test(issuer))
    throw new FetchError(`${issuer} is no URL, so it has no OpenID configuration: give jwksUri or jwks`);
  const url = `${issuer.replace(/\/+$/, '')}${WELL_KNOWN}`;
  const text = await fetch(url, timeoutMs);
  let uri: unknown;
  try {
    uri = (JSON.parse(text) as { readonly jwks_uri?: unknown } | null)?.jwks_uri;
  } catch {
    throw new FetchError(`${url}: it is not JSON`);
  }
  if (typeof uri !== 'string' || !URL.canParse(uri) || !/^https?:\/\//.test(uri))
    throw new FetchError(`${url}: it has no jwks_uri that is a URL`);
  if (url.startsWith('https:') && !uri.startsWith('https:'))
    throw new FetchError(`${url}: its jwks_uri ${uri} is not https`);
  return uri;
}

/**
 * Keeps the keys that policies want: each fetched at once, again when its time is over, and sooner after a failure. Keys stay in force while newer ones
 * cannot be fetched; without any the result has none, and proxies refuse all tokens of the issuer. `firstRound` resolves when each that is wanted now is
 * there or was asked for several times in vain.
 */
export function keepTokenKeys(
  wanted: Cell<readonly WantedKeys[]>,
  into: SourceCollection<FetchedKeys>,
  { fetch, after, refreshMs, random, onFetch, log }: KeyFetching,
): { readonly firstRound: Promise<void>; readonly close: () => void } {
  const entries = new Map<string, Entry>();
  let closed = false;
  const counted: KeyFetching['fetch'] = async (url, timeoutMs) => {
    try {
      const text = await fetch(url, timeoutMs);
      onFetch(true);
      return text;
    } catch (error) {
      onFetch(false);
      throw error;
    }
  };
  const obtain = async ({ from, keys, timeoutMs }: WantedKeys): Promise<FetchedKeys> => {
    const uri = 'uri' in from ? from.uri : await discover(from.issuer, timeoutMs, counted);
    const place = 'uri' in from ? {} : { uri };
    if (!keys) return place;
    const text = await counted(uri, timeoutMs);
    try {
      return { ...place, keys: canonicalKeySet(text) };
    } catch (error) {
      if (error instanceof KeySetError) throw new FetchError(`${uri}: ${error.message}`);
      throw error;
    }
  };
  const ask = async (name: string, entry: Entry): Promise<void> => {
    const before = into.get(name);
    let delay: number;
    try {
      const result = await obtain(entry.wanted);
      if (closed || entries.get(name) !== entry) return;
      if (entry.failures > 0) log.info(`keys of ${name} are there again`);
      else if (before?.keys !== result.keys)
        log.info(`${before?.keys === undefined ? 'got' : 'got newer'} keys: ${name}`);
      entry.failures = 0;
      into.set(name, result);
      entry.settled();
      delay = refreshMs;
    } catch (error) {
      if (closed || entries.get(name) !== entry) return;
      const problem = error instanceof Error ? error.message : String(error);
      const { problem: _old, ...good } = before ?? {};
      const hasAny = good.keys !== undefined || (good.uri !== undefined && !entry.wanted.keys);
      // Told once; while it stays the same it is only for who wants to see every attempt.
      log[problem === before?.problem ? 'debug' : 'warn'](
        `cannot get keys of tokens${hasAny ? ', those fetched before stay in force' : ', all tokens that need them are refused'}: ${problem}`,
      );
      into.set(name, { ...good, problem });
      const longest = hasAny ? refreshMs : Math.min(refreshMs, LONGEST_WITHOUT_KEYS_MS);
      delay = Math.min(longest, RETRY_MS * 2 ** Math.min(entry.failures, 20));
      entry.failures++;
      if (entry.failures >= FIRST_ATTEMPTS) entry.settled();
    }
    entry.cancel = after(delay * (0.9 + 0.2 * random()), () => void ask(name, entry));
  };
  const follow = (): readonly Promise<void>[] => {
    if (closed) return [];
    const asked: Promise<void>[] = [];
    const now = new Map(wanted.current.map((one) => [one.name, one] as const));
    for (const [name, entry] of entries) {
      if (now.has(name) || entry.isLeaving) continue;
      entry.isLeaving = true;
      entry.settled();
      entry.cancel();
      entry.cancel = after(KEPT_MS, () => {
        entries.delete(name);
        into.delete(name);
      });
    }
    for (const [name, one] of now) {
      const known = entries.get(name);
      if (known !== undefined && !known.isLeaving && known.wanted.keys === one.keys) {
        known.wanted = one;
        continue;
      }
      known?.cancel();
      asked.push(
        new Promise((settled) => {
          const entry: Entry = { wanted: one, failures: 0, cancel: () => undefined, isLeaving: false, settled };
          entries.set(name, entry);
          void ask(name, entry);
        }),
      );
    }
    return asked;
  };
  const unsubscribe = wanted.subscribe(() => setImmediate(follow));
  const firstRound = Promise.all(follow()).then(() => undefined);
  return {
    firstRound,
    close: () => {
      closed = true;
      unsubscribe();
      for (const { cancel, settled } of entries.values()) {
        cancel();
        settled();
      }
      entries.clear();
    },
  };
}
