import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { KubeApiError, type KubeClient, type KubeObject, type ResourceType } from '@istio-ts/kube';
import { forAll, nameOf } from './apply.ts';
import { ownershipLabels } from './ownership.ts';

const validatingAdmission = (resource: string, kind: string): ResourceType => ({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  resource,
  kind,
  namespaced: false,
});

/** Every kind that the charts make, users of others first: the order of removal. */
const prunable: readonly ResourceType[] = [
  kubernetesTypes.MutatingWebhookConfiguration,
  kubernetesTypes.ValidatingWebhookConfiguration,
  validatingAdmission('validatingadmissionpolicybindings', 'ValidatingAdmissionPolicyBinding'),
  validatingAdmission('validatingadmissionpolicies', 'ValidatingAdmissionPolicy'),
  kubernetesTypes.HorizontalPodAutoscaler,
  kubernetesTypes.PodDisruptionBudget,
  kubernetesTypes.Deployment,
  kubernetesTypes.DaemonSet,
  kubernetesTypes.Service,
  kubernetesTypes.RoleBinding,
  kubernetesTypes.Role,
  kubernetesTypes.ClusterRoleBinding,
  kubernetesTypes.ClusterRole,
  kubernetesTypes.ConfigMap,
  kubernetesTypes.ServiceAccount,
];

async function labelled(
  client: KubeClient,
  types: readonly ResourceType[],
  labelSelector: string,
): Promise<readonly { readonly type: ResourceType; readonly object: KubeObject }[]> {
  const found = await Promise.all(
    types.map(async (type) => {
      try {
        return (await client.list(type, { labelSelector })).items.map((object) => ({
          type,
          object: {
            ...object,
            apiVersion: object.apiVersion ?? (type.group ? `${type.group}/${type.version}` : type.version),
            kind: type.kind,
          },
        }));
      } catch (error) {
        // A cluster that does not serve the kind has none of it.
        if (error instanceof KubeApiError && error.status === 404) return [];
        throw error;
      }
    }),
  );
  return found.flat();
}

/** Removes objects in the order of their kinds; those that are gone already are no failure. */
async function remove(
  client: KubeClient,
  objects: readonly { readonly type: ResourceType; readonly object: KubeObject }[],
  onRemoved: (name: string) => void,
): Promise<void> {
  for (const type of [...prunable, kubernetesTypes.CustomResourceDefinition]) {
    await forAll(
      objects.filter((entry) => entry.type === type),
      async ({ object }) => {
        try {
          await client.delete(type, object.metadata.name ?? '', object.metadata.namespace);
        } catch (error) {
          if (!(error instanceof KubeApiError && error.status === 404)) throw error;
        }
        onRemoved(nameOf(object));
      },
    );
  }
}

/** Removes what an earlier installation of this revision made and this one does not want. Cluster-wide CRDs stay. */
export async function prune(
  client: KubeClient,
  wanted: readonly KubeObject[],
  revision: string,
  onRemoved: (name: string) => void,
): Promise<void> {
  const keep = new Set(wanted.map(nameOf));
  const found = await labelled(
    client,
    prunable,
    `${ownershipLabels.managed}=Reconcile,${ownershipLabels.revision}=${revision}`,
  );
  await remove(
    client,
    found.filter(({ object }) => !keep.has(nameOf(object))),
    onRemoved,
  );
}

/** What an uninstallation would remove: of one revision, or everything with the CRDs. */
export function installed(
  client: KubeClient,
  revision: string | undefined,
): Promise<readonly { readonly type: ResourceType; readonly object: KubeObject }[]> {
  return revision === undefined
    ? labelled(client, [...prunable, kubernetesTypes.CustomResourceDefinition], `${ownershipLabels.component}`)
    : labelled(client, prunable, `${ownershipLabels.component},${ownershipLabels.revision}=${revision}`);
}

export { remove as removeAll };
