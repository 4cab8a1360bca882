import { type ListeningSocket, parseListeningSockets } from '@istio-ts/analysis';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import { forAll } from '../install/apply.ts';

const isRunning = (pod: KubeObject): boolean =>
  (pod.status as { readonly phase?: string } | undefined)?.phase === 'Running';

/** The container with the proxy, which shares its network with the application and has a shell's tools. */
function proxyOf(pod: KubeObject): string | undefined {
  const spec = (pod.spec ?? {}) as Readonly<Record<string, readonly { readonly name?: string }[] | undefined>>;
  return [...(spec.containers ?? []), ...(spec.initContainers ?? [])].find(({ name }) => name === 'istio-proxy')?.name;
}

/**
 * On which ports the applications of the mesh listen, by `namespace/pod`, as the proxy's container sees it. Pods that cannot be looked into (no right to
 * exec, an image without `cat`) have no entry.
 */
export async function podSockets(client: KubeClient): Promise<ReadonlyMap<string, readonly ListeningSocket[]>> {
  const found = new Map<string, readonly ListeningSocket[]>();
  const { items } = await client.list(kubernetesTypes.Pod);
  await forAll(items.filter(isRunning), async (pod) => {
    const container = proxyOf(pod);
    const { name = '', namespace = '' } = pod.metadata;
    if (container === undefined) return;
    try {
      const tables = await client.exec(namespace, name, container, ['cat', '/proc/net/tcp', '/proc/net/tcp6']);
      found.set(`${namespace}/${name}`, parseListeningSockets(tables.stdout));
    } catch {
      // Nothing is known of this pod, and nothing is said of it.
    }
  });
  return found;
}
