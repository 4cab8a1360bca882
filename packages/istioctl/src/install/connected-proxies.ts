import type { KubeClient } from '@istio-ts/kube';
import { type SyncStatus, syncStatuses } from '@istio-ts/envoy-dump/sync-status';
import { askControlPlane, controlPlanePods, debugPort } from '@istio-ts/envoy-dump/ask/control-plane';

/** The proxies that are connected to the control plane of a revision (of all without one), or why nobody could be asked. */
export type ConnectedProxies =
  | { readonly known: true; readonly proxies: readonly SyncStatus[] }
  | { readonly known: false; readonly reason: string };

/** Asks the running istiods. A control plane that does not run has no proxies. */
export async function connectedProxies(
  client: KubeClient,
  istioNamespace: string,
  revision?: string,
): Promise<ConnectedProxies> {
  try {
    const pods = await controlPlanePods(client, istioNamespace, revision);
    const answers = await askControlPlane(client, pods, debugPort, '/debug/syncz');
    return { known: true, proxies: answers.flatMap(({ body }) => syncStatuses(body)) };
  } catch (error) {
    return { known: false, reason: (error as Error).message };
  }
}

/** How many proxies there are in each namespace, in names' order: `bookinfo (6), istio-system (1)`. Names of proxies are `POD.NAMESPACE`. */
export function byNamespace(proxies: readonly Pick<SyncStatus, 'proxy'>[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { proxy } of proxies) {
    const namespace = proxy.slice(proxy.lastIndexOf('.') + 1);
    counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
  }
  return new Map([...counts].sort(([a], [b]) => a.localeCompare(b)));
}

export const namespacesShown = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([namespace, count]) => `${namespace} (${count})`).join(', ');
