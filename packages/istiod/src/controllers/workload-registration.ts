import { istioTypes } from '@istio-ts/api/resource-types';
import { isNotFound, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { formatLocality, healthChecksAnnotation } from '@istio-ts/mesh';
import type { ProxyNode } from '@istio-ts/xds';
import type { Logger } from '../log.ts';
import type { RegistrationMetrics } from '../metrics/kubernetes.ts';

/** Annotations of WorkloadEntries that istiod made itself. */
export const registrationAnnotations = {
  group: 'istio.io/autoRegistrationGroup',
  controller: 'istio.io/workloadController',
  connectedAt: 'istio.io/connectedAt',
  disconnectedAt: 'istio.io/disconnectedAt',
} as const;

const maxNameLength = 253;
const retryMs = 5000;
/** How often a connection that lasts is confirmed, and after what time without that the istiod behind it is believed to be gone. */
const confirmMs = 15 * 60_000;
const staleMs = 3 * confirmMs;
const sweepMs = 10_000;

interface GroupSpec {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly template?: EntrySpec;
  readonly probe?: object;
}

interface EntrySpec {
  readonly address?: string;
  readonly ports?: Readonly<Record<string, number>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly network?: string;
  readonly locality?: string;
  readonly weight?: number;
  readonly serviceAccount?: string;
}

export interface Health {
  readonly healthy: boolean;
  readonly message: string;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** The group that a proxy wants to be a member of, '' for none. */
export const groupOf = (node: ProxyNode): string => text(node.metadata.AUTO_REGISTER_GROUP);

/** Name of the WorkloadEntry of a proxy: the one that its group's members get, or the one that it says it belongs to; '' for none. */
export function entryNameOf(node: ProxyNode): string {
  const group = groupOf(node);
  if (group === '') return text(node.metadata.WORKLOAD_ENTRY);
  const network = text(node.metadata.NETWORK);
  const name = [group, node.ipAddress, ...(network === '' ? [] : [network])].join('-').toLowerCase();
  const safe = name.replace(/[^a-z0-9.-]/g, '-');
  // The end tells members of a group apart.
  return safe.slice(-maxNameLength).replace(/^[^a-z0-9]+/, '');
}

/** The WorkloadEntry of a member of a group, as the group's template and what the proxy says of itself give it (Istio documentation, WorkloadGroup). */
export function registeredEntry(group: KubeObject, node: ProxyNode, controller: string, now: Date): KubeObject {
  const { metadata = {}, template = {}, probe } = group.spec as GroupSpec;
  const ownLabels = Object.fromEntries(
    Object.entries((node.metadata.LABELS ?? {}) as Readonly<Record<string, unknown>>).flatMap(([key, value]) =>
      typeof value === 'string' ? [[key, value]] : [],
    ),
  );
  const labels = { ...metadata.labels, ...template.labels, ...ownLabels };
  const locality = template.locality || formatLocality(node.locality);
  const network = template.network || text(node.metadata.NETWORK);
  const { name = '', namespace = node.namespace, uid } = group.metadata;
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: {
      name: entryNameOf(node),
      namespace,
      labels: { ...metadata.labels, ...template.labels },
      annotations: {
        ...metadata.annotations,
        ...(probe && { [healthChecksAnnotation]: 'true' }),
        [registrationAnnotations.group]: name,
        [registrationAnnotations.controller]: controller,
        [registrationAnnotations.connectedAt]: now.toISOString(),
      },
      ...(uid !== undefined && {
        ownerReferences: [{ apiVersion: group.apiVersion, kind: 'WorkloadGroup', name, uid, controller: true }],
      }),
    },
    spec: {
      address: node.ipAddress,
      ...(template.ports && { ports: template.ports }),
      labels,
      ...(network !== '' && { network }),
      ...(locality !== '' && { locality }),
      ...(template.weight !== undefined && { weight: template.weight }),
      ...(template.serviceAccount && { serviceAccount: template.serviceAccount }),
    },
  };
}

/** Why a proxy may not become a member of a group; undefined where it may. Without a proved identity nobody may. */
export function refusal(group: KubeObject, node: ProxyNode): string | undefined {
  if (node.identity === undefined)
    return 'it has proved no identity; let it connect with its certificate or a token of its service account';
  const account = (group.spec as GroupSpec).template?.serviceAccount ?? '';
  const [, namespace, own] = /\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(node.identity) ?? [];
  if (namespace !== group.metadata.namespace)
    return `its identity is ${node.identity}, which is not of the group's namespace ${group.metadata.namespace}`;
  if (account === '' || own === account) return undefined;
  return `its identity is ${node.identity}, but the group's workloads run as service account ${account}`;
}

export interface RegistrationOptions {
  /** Which istiod this is, for other replicas. */
  readonly controller: string;
  /** How long an entry outlives the connection of its workload, in milliseconds. */
  readonly graceMs: number;
  readonly register: boolean;
  readonly healthChecks: boolean;
  readonly now: () => Date;
}

export interface WorkloadRegistration {
  connected(node: ProxyNode): void;
  disconnected(node: ProxyNode): void;
  health(node: ProxyNode, health: Health): void;
  close(): void;
}

/**
 * Makes WorkloadEntries for workloads outside Kubernetes that connect as members of a WorkloadGroup, takes them away some time after they are gone,
 * and writes what their agents say of their health into the entries' status. Every istiod looks after the workloads that are connected to it, and
 * all of them remove what nobody looks after any more.
 */
export function createWorkloadRegistration(
  client: KubeClient,
  options: RegistrationOptions,
  log: Logger,
  metrics?: RegistrationMetrics,
): WorkloadRegistration {
  const { controller, graceMs, now } = options;
  /** Connections by entry: a proxy may connect anew before its old stream is known to be dead. */
  const connections = new Map<string, { readonly node: ProxyNode; count: number }>();
  const states = new Map<string, Health>();
  /** Work on one entry runs in order. */
  const queues = new Map<string, Promise<void>>();
  /** What has been said of work that fails, so that it is said once and not at every attempt. */
  const told = new Map<string, string>();
  const timers = new Set<NodeJS.Timeout>();
  let closed = false;

  const keyOf = (node: ProxyNode): string => `${node.namespace}/${entryNameOf(node)}`;
  const later = (work: () => void, ms: number): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      if (!closed) work();
    }, ms);
    timer.unref();
    timers.add(timer);
  };
  /** Runs work of an entry after what is under way; a failure is told once and, where `again` says so, tried again. */
  const enqueue = (key: string, what: string, work: () => Promise<void>, again: () => boolean): void => {
    const run = async (): Promise<void> => {
      if (closed) return;
      const line = `${what} ${key}`;
      try {
        await work();
        told.delete(line);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (told.get(line) !== reason) log.warn(`${line}: ${reason}`);
        told.set(line, reason);
        later(() => {
          if (again()) enqueue(key, what, work, again);
          else told.delete(line);
        }, retryMs);
      }
    };
    const next = (queues.get(key) ?? Promise.resolve()).then(run);
    queues.set(key, next);
    void next.then(() => {
      if (queues.get(key) === next) queues.delete(key);
    });
  };
  const find = async (key: string): Promise<KubeObject | undefined> => {
    const [namespace = '', name = ''] = key.split('/');
    return client.get(istioTypes.WorkloadEntry, name, namespace).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
  };
  const annotate = (entry: KubeObject, annotations: Readonly<Record<string, string | null>>): Promise<unknown> =>
    client.patch(
      istioTypes.WorkloadEntry,
      entry.metadata.name ?? '',
      entry.metadata.namespace,
      'merge',
      { metadata: { annotations, resourceVersion: entry.metadata.resourceVersion } },
      { fieldManager: 'istiod' },
    );

  const register = async (node: ProxyNode, again = false): Promise<void> => {
    const key = keyOf(node);
    const entry = await find(key);
    if (entry) {
      await annotate(entry, {
        [registrationAnnotations.controller]: controller,
        [registrationAnnotations.connectedAt]: now().toISOString(),
        [registrationAnnotations.disconnectedAt]: null,
      });
      if (!again) metrics?.updated();
    } else {
      const group = await client
        .get(istioTypes.WorkloadGroup, groupOf(node), node.namespace)
        .catch((error: unknown) => {
          if (isNotFound(error)) throw new Error(`there is no WorkloadGroup ${node.namespace}/${groupOf(node)}`);
          throw error;
        });
      const reason = refusal(group, node);
      if (reason !== undefined) {
        log.warn(`WorkloadEntry ${key} is not made: ${reason}`);
        metrics?.failed();
        return;
      }
      await client.create(istioTypes.WorkloadEntry, registeredEntry(group, node, controller, now()));
      metrics?.registered();
      log.info(`WorkloadEntry ${key} is made: ${node.id} has connected as a member of WorkloadGroup ${groupOf(node)}`);
    }
    const state = states.get(key);
    if (state) await writeHealth(key, state);
  };
  const counted = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (error) {
      metrics?.failed();
      throw error;
    }
  };
  const unregister = async (key: string): Promise<void> => {
    const entry = await find(key);
    // Meanwhile it may have connected to another istiod.
    if (!entry || entry.metadata.annotations?.[registrationAnnotations.controller] !== controller) return;
    await annotate(entry, {
      [registrationAnnotations.controller]: null,
      [registrationAnnotations.disconnectedAt]: now().toISOString(),
    });
    metrics?.unregistered();
    later(
      () =>
        enqueue(
          key,
          'cannot remove WorkloadEntry',
          () => removeIfGone(key),
          () => true,
        ),
      graceMs,
    );
  };
  const removeIfGone = async (key: string): Promise<void> => {
    const entry = await find(key);
    if (!entry || !isGone(entry, now().getTime(), graceMs)) return;
    const { name = '', namespace = '', uid } = entry.metadata;
    await client
      .delete(istioTypes.WorkloadEntry, name, namespace, { ...(uid !== undefined && { uid }) })
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    metrics?.removed();
    log.info(`WorkloadEntry ${key} is removed: its workload is gone`);
  };
  const writeHealth = async (key: string, { healthy, message }: Health): Promise<void> => {
    const entry = await find(key);
    // It is written when the entry is made.
    if (!entry) return;
    const status = entry.status as { readonly conditions?: readonly { readonly type: string }[] } | undefined;
    const time = now().toISOString();
    await client.patch(
      istioTypes.WorkloadEntry,
      entry.metadata.name ?? '',
      entry.metadata.namespace,
      'merge',
      {
        status: {
          conditions: [
            ...(status?.conditions ?? []).filter(({ type }) => type !== 'Healthy'),
            {
              type: 'Healthy',
              status: healthy ? 'True' : 'False',
              lastProbeTime: time,
              lastTransitionTime: time,
              ...(message !== '' && { message }),
            },
          ],
        },
      },
      { subresource: 'status', fieldManager: 'istiod' },
    );
  };

  /** Entries that other istiods, or this one before it ended, have left behind. */
  const sweep = async (): Promise<void> => {
    const { items } = await client.list(istioTypes.WorkloadEntry);
    for (const entry of items) {
      if (!isGone(entry, now().getTime(), graceMs)) continue;
      const key = `${entry.metadata.namespace}/${entry.metadata.name}`;
      if (!connections.has(key))
        enqueue(
          key,
          'cannot remove WorkloadEntry',
          () => removeIfGone(key),
          () => false,
        );
    }
  };
  const sweeps = setInterval(() => {
    if (!options.register || closed) return;
    sweep().catch((error: Error) => log.debug(`WorkloadEntries cannot be listed: ${error.message}`));
  }, sweepMs);
  sweeps.unref();
  const confirmations = setInterval(() => {
    for (const [key, { node }] of connections)
      enqueue(
        key,
        'cannot confirm WorkloadEntry',
        () => counted(register(node, true)),
        () => connections.has(key),
      );
  }, confirmMs);
  confirmations.unref();

  return {
    connected: (node) => {
      if (!options.register || groupOf(node) === '') return;
      const key = keyOf(node);
      const known = connections.get(key);
      if (known) {
        known.count++;
        return;
      }
      connections.set(key, { node, count: 1 });
      enqueue(
        key,
        'cannot register WorkloadEntry',
        () => counted(register(node)),
        () => connections.has(key),
      );
    },
    disconnected: (node) => {
      if (!options.register || groupOf(node) === '') return;
      const key = keyOf(node);
      const known = connections.get(key);
      if (!known || --known.count > 0) return;
      connections.delete(key);
      states.delete(key);
      enqueue(
        key,
        'cannot mark WorkloadEntry',
        () => counted(unregister(key)),
        () => !connections.has(key),
      );
    },
    health: (node, state) => {
      if (!options.healthChecks || entryNameOf(node) === '') return;
      const key = keyOf(node);
      states.set(key, state);
      enqueue(
        key,
        'cannot write the health of WorkloadEntry',
        () => writeHealth(key, state),
        () => states.get(key) === state,
      );
    },
    close: () => {
      closed = true;
      clearInterval(sweeps);
      clearInterval(confirmations);
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

/** Whether nobody looks after an entry that istiod made: its workload disconnected longer than `graceMs` ago, or its istiod confirms it no more. */
export function isGone(entry: KubeObject, now: number, graceMs: number): boolean {
  const annotations = entry.metadata.annotations ?? {};
  if (annotations[registrationAnnotations.group] === undefined) return false;
  const disconnected = Date.parse(annotations[registrationAnnotations.disconnectedAt] ?? '');
  if (!Number.isNaN(disconnected)) return now - disconnected >= graceMs;
  const connected = Date.parse(annotations[registrationAnnotations.connectedAt] ?? '');
  return !Number.isNaN(connected) && now - connected >= staleMs;
}
