import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';

export interface PodName {
  readonly name: string;
  readonly namespace: string;
}

function isReady(pod: KubeObject): boolean {
  const status = pod.status as { readonly phase?: string } | undefined;
  return status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined;
}

/** The running pods with these labels, in a namespace or in all (`''`). */
export async function runningPods(
  client: KubeClient,
  namespace: string,
  labelSelector: string,
): Promise<readonly KubeObject[]> {
  const { items } = await client.list(kubernetesTypes.Pod, {
    ...(namespace !== '' && { namespace }),
    labelSelector,
  });
  return items.filter(isReady);
}

export const podName = ({ metadata }: KubeObject): PodName => ({
  name: metadata.name ?? '',
  namespace: metadata.namespace ?? '',
});
