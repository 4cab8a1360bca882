import { Resolver } from 'node:dns/promises';
import type { Cell, SourceCollection } from '@istio-ts/collections';
import type { Logger } from '../log.ts';

/** What a DNS name stands for now. */
export interface ResolvedName {
  readonly addresses: readonly string[];
  /** How long that holds. */
  readonly ttlMs: number;
}

export interface NameResolution {
  /** Rejects where the name cannot be resolved. */
  readonly resolve: (name: string) => Promise<ResolvedName>;
  /** Runs work once after a time; the result takes it back. */
  readonly after: (ms: number, work: () => void) => () => void;
  readonly log: Logger;
}

/** Names are asked for again when their time is over, but not more often: load balancers have times to live of a few seconds. */
const leastMs = 30_000;
/** Wait after a name could not be resolved; doubled with each failure until it is as long as the wait after a success. */
const retryMs = 1000;

/**
 * Keeps the addresses of the DNS names that gateways of networks have: of every name in `names`, asked for again when its time to live is over.
 * Addresses stay while a name cannot be resolved.
 */
export function resolveGatewayNames(
  names: Cell<readonly string[]>,
  into: SourceCollection<readonly string[]>,
  { resolve, after, log }: NameResolution,
): { readonly close: () => void } {
  const cancels = new Map<string, () => void>();
  const ask = async (name: string, failures: number): Promise<void> => {
    // A name that goes away and comes back is asked for anew: then this answer counts no more.
    const token = () => undefined;
    cancels.set(name, token);
    let next: { readonly ms: number; readonly failures: number };
    try {
      const { addresses, ttlMs } = await resolve(name);
      if (cancels.get(name) !== token) return;
      into.set(name, [...addresses].sort());
      next = { ms: Math.max(leastMs, ttlMs), failures: 0 };
    } catch (error) {
      if (cancels.get(name) !== token) return;
      log.warn(`cannot resolve ${name}, the gateway of a network: ${error instanceof Error ? error.message : error}`);
      next = { ms: Math.min(leastMs, retryMs * 2 ** failures), failures: failures + 1 };
    }
    cancels.set(
      name,
      after(next.ms, () => void ask(name, next.failures)),
    );
  };
  const follow = (): void => {
    const wanted = new Set(names.current);
    for (const [name, cancel] of [...cancels]) {
      if (wanted.has(name)) continue;
      cancel();
      cancels.delete(name);
      into.delete(name);
    }
    for (const name of wanted) if (!cancels.has(name)) void ask(name, 0);
  };
  const unsubscribe = names.subscribe(() => setImmediate(follow));
  follow();
  return {
    close: () => {
      unsubscribe();
      for (const cancel of cancels.values()) cancel();
      cancels.clear();
    },
  };
}

/** Asks the DNS servers of this machine for a name's addresses of both families. Rejects where there are none. */
export async function resolveName(
  name: string,
  resolver: Pick<Resolver, 'resolve4' | 'resolve6'> = new Resolver({ timeout: 2000, tries: 2 }),
): Promise<ResolvedName> {
  const [v4, v6] = await Promise.allSettled([
    resolver.resolve4(name, { ttl: true }),
    resolver.resolve6(name, { ttl: true }),
  ]);
  const records = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  if (records.length === 0)
    throw v4.status === 'rejected' ? v4.reason : new Error('it has neither IPv4 nor IPv6 addresses');
  return {
    addresses: records.map(({ address }) => address),
    ttlMs: 1000 * Math.min(...records.map(({ ttl }) => ttl)),
  };
}
