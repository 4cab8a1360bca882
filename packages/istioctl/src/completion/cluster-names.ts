import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject, ResourceType } from '@istio-ts/kube';
import type { Candidate } from './question.ts';
import type { ClusterNames } from './values.ts';

const names = (objects: readonly KubeObject[], prefix = '', description?: string): readonly Candidate[] =>
  objects.flatMap(({ metadata: { name } }) =>
    name === undefined ? [] : [{ word: prefix + name, ...(description !== undefined && { description }) }],
  );

const labelValues = (objects: readonly KubeObject[], label: string): readonly Candidate[] =>
  [...new Set(objects.flatMap(({ metadata }) => metadata.labels?.[label] ?? []))].sort().map((word) => ({ word }));

/** Words that stand before workloads, and the kind of each. */
const kinds: readonly (readonly [string, ResourceType])[] = [
  ['deploy/', kubernetesTypes.Deployment],
  ['deployment/', kubernetesTypes.Deployment],
  ['statefulset/', kubernetesTypes.StatefulSet],
  ['sts/', kubernetesTypes.StatefulSet],
  ['daemonset/', kubernetesTypes.DaemonSet],
  ['ds/', kubernetesTypes.DaemonSet],
  ['service/', kubernetesTypes.Service],
  ['svc/', kubernetesTypes.Service],
  ['pod/', kubernetesTypes.Pod],
];

/** Asks the cluster for names that may stand where the cursor is. Rejects when it cannot be asked. */
export async function clusterNames(
  client: KubeClient,
  what: ClusterNames,
  where: { readonly namespace: string; readonly istioNamespace: string; readonly typed: string },
): Promise<readonly Candidate[]> {
  const list = async (type: ResourceType, namespace?: string, labelSelector?: string) =>
    (
      await client.list(type, {
        ...(namespace !== undefined && { namespace }),
        ...(labelSelector !== undefined && { labelSelector }),
      })
    ).items;
  switch (what) {
    case 'namespaces':
      return names(await list(kubernetesTypes.Namespace));
    case 'services':
      return names(await list(kubernetesTypes.Service, where.namespace));
    case 'pods':
      return names(await list(kubernetesTypes.Pod, where.namespace));
    case 'istiods':
      return names(await list(kubernetesTypes.Pod, where.istioNamespace, 'app=istiod'));
    case 'revisions':
      return labelValues(
        await list(kubernetesTypes.MutatingWebhookConfiguration, undefined, 'app=sidecar-injector'),
        'istio.io/rev',
      );
    case 'tags':
      return labelValues(
        await list(kubernetesTypes.MutatingWebhookConfiguration, undefined, 'istio.io/tag'),
        'istio.io/tag',
      );
    case 'workloads': {
      const [prefix, type] = kinds.find(([word]) => where.typed.startsWith(word)) ?? [];
      if (prefix !== undefined && type !== undefined) return names(await list(type, where.namespace), prefix);
      const [pods, deployments] = await Promise.all([
        list(kubernetesTypes.Pod, where.namespace),
        list(kubernetesTypes.Deployment, where.namespace),
      ]);
      return [...names(pods, '', 'pod'), ...names(deployments, 'deploy/', 'a pod of this deployment')];
    }
  }
}
