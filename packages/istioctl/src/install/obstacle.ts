import { type KubeClient, type KubeObject, labelSelectorMatches, readLabelSelector } from '@istio-ts/kube';

interface ContainerState {
  readonly name: string;
  readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
  readonly lastState?: { readonly terminated?: { readonly reason?: string; readonly exitCode?: number } };
}

interface PodState {
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  readonly initContainerStatuses?: readonly ContainerState[];
  readonly containerStatuses?: readonly ContainerState[];
}

/** Reasons of containers that are on their way. */
const UNDER_WAY: ReadonlySet<string> = new Set(['ContainerCreating', 'PodInitializing']);

/** Kinds whose events tell why pods do not become ready. An autoscaler without measurements complains, too, and keeps nobody from starting. */
const ABOUT_PODS: ReadonlySet<string> = new Set(['Pod', 'ReplicaSet', 'Deployment', 'DaemonSet']);

/** What keeps a pod from starting, in its own words, or undefined. */
export function obstacleOfPod({
  conditions,
  initContainerStatuses = [],
  containerStatuses = [],
}: PodState): string | undefined {
  for (const { name, state, lastState } of [...initContainerStatuses, ...containerStatuses]) {
    const { reason, message } = state?.waiting ?? {};
    if (reason === undefined || UNDER_WAY.has(reason)) continue;
    const ended = lastState?.terminated;
    const how = ended === undefined ? '' : `; it ended with exit code ${ended.exitCode} (${ended.reason})`;
    return `container ${name}: ${reason}${message ? `: ${message}` : ''}${how}`;
  }
  const scheduled = conditions?.find(({ type }) => type === 'PodScheduled');
  return scheduled?.status === 'False' ? `no node for the pod: ${scheduled.message ?? 'unknown reason'}` : undefined;
}

/**
 * What keeps the pods of a Deployment or DaemonSet from becoming ready: the state of one of them, or the last warning about them. Undefined where nothing
 * is to be found, or nothing may be read.
 */
export async function obstacleOf(client: Pick<KubeClient, 'list'>, object: KubeObject): Promise<string | undefined> {
  const { name = '', namespace } = object.metadata;
  if (object.kind !== 'Deployment' && object.kind !== 'DaemonSet') return undefined;
  const listOf = (resource: string, kind: string) =>
    client
      .list(
        { group: '', version: 'v1', resource, kind, namespaced: true },
        namespace === undefined ? {} : { namespace },
      )
      // Only a help for a message, which is right without it.
      .catch(() => ({ items: [] as readonly KubeObject[] }));
  const selector = readLabelSelector((object.spec as { readonly selector?: unknown } | undefined)?.selector);
  if (selector !== undefined) {
    const { items } = await listOf('pods', 'Pod');
    for (const { metadata, status } of items) {
      if (metadata.deletionTimestamp !== undefined || !labelSelectorMatches(selector, metadata.labels ?? {})) continue;
      const obstacle = obstacleOfPod((status ?? {}) as PodState);
      if (obstacle !== undefined) return obstacle;
    }
  }
  const { items } = await listOf('events', 'Event');
  const at = (event: KubeObject) => String(event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp);
  const last = items
    .filter((event) => {
      const about = (event.involvedObject ?? {}) as { readonly kind?: string; readonly name?: string };
      const isAbout = about.name === name || about.name?.startsWith(`${name}-`);
      return event.type === 'Warning' && isAbout && ABOUT_PODS.has(about.kind ?? '');
    })
    .sort((a, b) => at(a).localeCompare(at(b)))
    .at(-1);
  return last === undefined ? undefined : `${String(last.reason)}: ${String(last.message)}`;
}
