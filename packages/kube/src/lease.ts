import { isNotFound, KubeApiError, type KubeClient } from './client.ts';
import type { KubeObject, ResourceType } from './object.ts';

const leases: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  resource: 'leases',
  kind: 'Lease',
  namespaced: true,
};

export interface LeaseOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Who asks: another name for every process. */
  readonly identity: string;
  readonly now: () => Date;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onWait: (holder: string) => void;
  /** Trouble that passes: the API server does not answer. */
  readonly onError: (error: Error) => void;
  /** How long a lease is valid without being renewed, in ms; a third of it is the time between renewals. */
  readonly durationMs: number;
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly renewTime?: string;
  readonly leaseDurationSeconds?: number;
  readonly leaseTransitions?: number;
}

/** Share of the duration after which a holder that could not renew gives up: a little before anybody else may take the lease. */
const RENEW_WITHIN = 0.8;

const micro = (date: Date): string => date.toISOString().replace(/(\.\d{3})Z$/, '$1000Z');

/**
 * One of several processes leads: who holds the Lease and renews it (Kubernetes, coordination.k8s.io/v1). `acquire` resolves when this one does; then
 * `lost` resolves as soon as it no longer does, because it could not renew in time (an API server that does not answer included): before the lease ends, so
 * that there are never two. `release` gives the lease up, so that another need not wait for its end. The time at which a foreign lease was last seen to change is measured here: clocks of other machines do not matter.
 */
export function createLease(options: LeaseOptions): {
  readonly acquire: (signal: AbortSignal) => Promise<void>;
  readonly lost: (signal: AbortSignal) => Promise<void>;
  readonly release: () => Promise<void>;
} {
  const { client, namespace, name, identity, durationMs } = options;
  const type = leases;
  let seen: { readonly renewTime: string | undefined; readonly holder: string | undefined; readonly at: number } = {
    renewTime: undefined,
    holder: undefined,
    at: Number.NEGATIVE_INFINITY,
  };

  /** When the attempt began that made or kept this process the holder. */
  let renewed = Number.NEGATIVE_INFINITY;

  const object = (spec: LeaseSpec, resourceVersion?: string): KubeObject => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name, namespace, ...(resourceVersion !== undefined && { resourceVersion }) },
    spec,
  });

  /** Takes or renews the lease; false when somebody else holds it. Raises KubeApiError. */
  const attempt = async (): Promise<boolean> => {
    const now = options.now();
    const mine = {
      holderIdentity: identity,
      renewTime: micro(now),
      leaseDurationSeconds: Math.max(1, Math.round(durationMs / 1000)),
    };
    let present: KubeObject;
    try {
      present = await client.get(type, name, namespace);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      try {
        await client.create(type, object({ ...mine, acquireTime: micro(now), leaseTransitions: 0 } as LeaseSpec));
        return true;
      } catch (failure) {
        if (failure instanceof KubeApiError && failure.status === 409) return false;
        throw failure;
      }
    }
    const spec = (present.spec ?? {}) as LeaseSpec;
    const holder = spec.holderIdentity || undefined;
    if (holder !== undefined && holder !== identity) {
      if (spec.renewTime !== seen.renewTime || holder !== seen.holder)
        seen = { renewTime: spec.renewTime, holder, at: now.getTime() };
      const valid = (spec.leaseDurationSeconds ?? durationMs / 1000) * 1000;
      if (now.getTime() - seen.at < valid) {
        options.onWait(holder);
        return false;
      }
    }
    const taken = holder === identity;
    try {
      await client.update(
        type,
        object(
          {
            ...spec,
            ...mine,
            ...(!taken && { acquireTime: micro(now), leaseTransitions: (spec.leaseTransitions ?? 0) + 1 }),
          },
          present.metadata.resourceVersion,
        ),
      );
      return true;
    } catch (error) {
      // Somebody else was faster.
      if (error instanceof KubeApiError && error.status === 409) return false;
      throw error;
    }
  };

  /** An attempt whose success is noted. */
  const hold = async (): Promise<boolean> => {
    const asked = options.now().getTime();
    const held = await attempt();
    if (held) renewed = asked;
    return held;
  };

  /** What an attempt comes to; `false` when it comes to nothing within this time. Raises KubeApiError. */
  const within = async (ms: number, signal: AbortSignal): Promise<boolean> => {
    const done = new AbortController();
    const late = options.sleep(ms, AbortSignal.any([signal, done.signal])).then(
      () => false,
      () => false,
    );
    try {
      return await Promise.race([hold(), late]);
    } finally {
      done.abort();
    }
  };

  const pause = (signal: AbortSignal) => options.sleep(durationMs / 3, signal).catch(() => {});

  return {
    acquire: async (signal) => {
      while (!signal.aborted) {
        try {
          if (await hold()) return;
        } catch (error) {
          options.onError(error as Error);
        }
        await pause(signal);
      }
    },
    lost: async (signal) => {
      while (!signal.aborted) {
        await pause(signal);
        if (signal.aborted) return;
        const left = renewed + durationMs * RENEW_WITHIN - options.now().getTime();
        if (left <= 0) return;
        try {
          if (!(await within(left, signal))) return;
        } catch (error) {
          options.onError(error as Error);
        }
      }
    },
    release: async () => {
      try {
        const present = await client.get(type, name, namespace);
        const spec = (present.spec ?? {}) as LeaseSpec;
        if (spec.holderIdentity !== identity) return;
        await client.update(type, object({ ...spec, holderIdentity: '' }, present.metadata.resourceVersion));
      } catch (error) {
        options.onError(error as Error);
      }
    },
  };
}
