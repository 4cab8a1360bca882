import { KubeApiError, type KubeClient } from '@istio-ts/kube/client';
import type { Pod } from '../plugin/pod.ts';

const DAEMON_SETS = {
  group: 'apps',
  version: 'v1',
  resource: 'daemonsets',
  kind: 'DaemonSet',
  namespaced: true,
} as const;
const PODS = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true } as const;
export const DAEMON_SET_NAME = 'istio-cni-node';

/** Name of the DaemonSet that made the agent's pod. */
export async function ownDaemonSet(client: KubeClient, namespace: string, pod: string): Promise<string> {
  const found = await client.get<Pod>(PODS, pod, namespace);
  return found.metadata.ownerReferences?.find(({ kind }) => kind === 'DaemonSet')?.name ?? DAEMON_SET_NAME;
}

/**
 * Whether the agent ends because it is being removed from the cluster, and not because its pod is replaced: then the plugin stays, as pods that start
 * meanwhile need it. Without the right to ask it has been removed as well, for the account's role goes with the rest. When the API server cannot be
 * reached the answer is no: a plugin too many does no harm that a new agent does not mend.
 */
export async function isBeingRemoved(client: KubeClient, namespace: string, daemonSet: string): Promise<boolean> {
  try {
    const found = await client.get(DAEMON_SETS, daemonSet, namespace);
    return found.metadata.deletionTimestamp !== undefined;
  } catch (error) {
    return error instanceof KubeApiError && [401, 403, 404].includes(error.status);
  }
}
