import { istioTypes } from '@istio-ts/api/resource-types';
import type { Collection } from '@istio-ts/collections';
import { isNotFound, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { readConfigStatus } from '@istio-ts/mesh/kubernetes/facts';
import type { Logger } from '../log.ts';
import { type AddressRanges, type Entry, type StatusAddress, wantedAddresses } from './auto-allocate.ts';
import { followLeadership, type LeadershipOptions } from './leadership.ts';

/** Name of the Lease of the istiod that gives addresses. */
const lock = 'istio-ip-autoallocate';
const retryMs = 1000;

const sameAddresses = (a: readonly StatusAddress[], b: readonly StatusAddress[]): boolean =>
  a.length === b.length && a.every(({ host, value }) => b.some((one) => one.host === host && one.value === value));

/**
 * Gives the hosts of ServiceEntries without addresses some, in the objects' status, for the DNS proxies of agents (Istio documentation, "DNS
 * Proxying"). Writes nothing for entries that have what they need. Of several istiods the one that holds the Lease `istio-ip-autoallocate` writes;
 * nobody asks for it before an entry wants something.
 */
export function keepAutoAddresses(
  client: KubeClient,
  entries: Collection<Entry>,
  options: Omit<LeadershipOptions, 'lock'> & { readonly ranges: AddressRanges },
  log: Logger,
): { readonly close: () => void } {
  /**
   * What this process has written, or is about to, and the watch has not brought yet, by the entry's key: it is taken although the entries do not
   * show it. Without it a second decision before the echo of the first one would give the same address away again, or another to the same host.
   */
  const written = new Map<string, readonly StatusAddress[]>();
  let leadership: { close(): void } | undefined;
  let leads = false;
  let scheduled = false;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;

  const current = (): ReadonlyMap<string, Entry> => {
    const all = entries.snapshot();
    if (written.size === 0) return all;
    return new Map(
      [...all].map(([key, entry]) => {
        const addresses = written.get(key);
        return [key, addresses ? { ...entry, status: { ...entry.status, addresses } } : entry];
      }),
    );
  };

  const fail = (key: string, error: unknown): void => {
    written.delete(key);
    if (closed || isNotFound(error)) return;
    log.warn(`cannot write the addresses of ServiceEntry ${key}: ${error instanceof Error ? error.message : error}`);
    retry ??= setTimeout(() => {
      retry = undefined;
      request();
    }, retryMs).unref();
  };

  const write = async (key: string, addresses: readonly StatusAddress[]): Promise<void> => {
    const [namespace = '', name = ''] = key.split('/');
    written.set(key, addresses);
    try {
      await client.patch(
        istioTypes.ServiceEntry,
        name,
        namespace,
        'merge',
        { status: { addresses: addresses.length > 0 ? addresses : null } },
        { subresource: 'status', fieldManager: 'istio-ip-autoallocate' },
      );
      log.info(
        `ServiceEntry ${key}: ${addresses.length > 0 ? addresses.map(({ value }) => value).join(', ') : 'no addresses any more'}`,
      );
    } catch (error) {
      fail(key, error);
    }
  };

  /** The watch brought something else than what was written: an older version on its way, or somebody's change. The server knows. */
  const verify = async (key: string, mine: readonly StatusAddress[]): Promise<void> => {
    const [namespace = '', name = ''] = key.split('/');
    try {
      const object: KubeObject = await client.get(istioTypes.ServiceEntry, name, namespace);
      const stored = readConfigStatus(object)?.addresses ?? [];
      if (written.get(key) !== mine || sameAddresses(stored, mine)) return;
      written.delete(key);
      request();
    } catch (error) {
      fail(key, error);
    }
  };

  const reconcile = (): void => {
    scheduled = false;
    if (closed) return;
    const wanted = wantedAddresses(current(), options.ranges);
    if (wanted.size === 0) return;
    leadership ??= followLeadership(
      client,
      { ...options, lock },
      (now) => {
        leads = now;
        request();
      },
      log,
    );
    if (leads) for (const [key, addresses] of wanted) void write(key, addresses);
  };
  const request = (): void => {
    if (scheduled || closed) return;
    scheduled = true;
    setImmediate(reconcile);
  };
  const unsubscribe = entries.subscribe((changes) => {
    for (const { key, after } of changes) {
      const mine = written.get(key);
      if (!mine) continue;
      if (!after || sameAddresses(after.status?.addresses ?? [], mine)) written.delete(key);
      else void verify(key, mine);
    }
    request();
  });
  request();
  return {
    close: () => {
      closed = true;
      unsubscribe();
      leadership?.close();
      if (retry) clearTimeout(retry);
    },
  };
}
