import type { KubeClient } from '@istio-ts/kube';
import { createLease } from '@istio-ts/kube/lease';
import type { Logger } from '../log.ts';

export interface LeadershipOptions {
  /** Namespace and name of the Lease. */
  readonly namespace: string;
  readonly lock: string;
  /** Name of this process among those that may lead. */
  readonly identity: string;
  readonly now: () => Date;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

const leaseMs = 15_000;

/** Takes part in the choice of the one process that does some work for the cluster: `onChange` hears when this one is chosen and when no longer. */
export function followLeadership(
  client: KubeClient,
  options: LeadershipOptions,
  onChange: (leads: boolean) => void,
  log: Logger,
): { readonly close: () => void } {
  const stop = new AbortController();
  const { signal } = stop;
  const { namespace, lock, identity, now, sleep } = options;
  const follow = async (): Promise<void> => {
    const lease = createLease({
      client,
      namespace,
      name: lock,
      identity,
      now,
      sleep,
      onWait: () => {},
      onError: (error) => log.warn(`the lease ${lock}: ${error.message}`),
      durationMs: leaseMs,
    });
    while (!signal.aborted) {
      await lease.acquire(signal);
      if (signal.aborted) break;
      onChange(true);
      await lease.lost(signal);
      onChange(false);
    }
    await lease.release();
  };
  void follow();
  return { close: () => stop.abort() };
}
