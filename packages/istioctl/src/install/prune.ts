import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { isNotFound, KubeApiError, type KubeClient, type KubeObject, type ResourceType } from '@istio-ts/kube';
import { forAll, nameOf, type Refusal, refusalOf } from './apply.ts';
import { ownershipLabels } from './ownership.ts';

const type = (group: string, version: string, resource: string, kind: string, namespaced: boolean): ResourceType => ({
  group,
  version,
  resource,
  kind,
  namespaced,
});

/** Every kind that the charts make, users of others first: the order of removal. */
const prunable: readonly ResourceType[] = [
  kubernetesTypes.MutatingWebhookConfiguration,
  kubernetesTypes.ValidatingWebhookConfiguration,
  type(
    'admissionregistration.k8s.io',
    'v1',
    'validatingadmissionpolicybindings',
    'ValidatingAdmissionPolicyBinding',
    false,
  ),
  type('admissionregistration.k8s.io', 'v1', 'validatingadmissionpolicies', 'ValidatingAdmissionPolicy', false),
  kubernetesTypes.HorizontalPodAutoscaler,
  kubernetesTypes.PodDisruptionBudget,
  kubernetesTypes.Deployment,
  kubernetesTypes.DaemonSet,
  kubernetesTypes.Service,
  type('networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy', true),
  type('', 'v1', 'resourcequotas', 'ResourceQuota', true),
  type('k8s.cni.cncf.io', 'v1', 'network-attachment-definitions', 'NetworkAttachmentDefinition', true),
  kubernetesTypes.RoleBinding,
  kubernetesTypes.Role,
  kubernetesTypes.ClusterRoleBinding,
  kubernetesTypes.ClusterRole,
  kubernetesTypes.ConfigMap,
  kubernetesTypes.ServiceAccount,
];

/** Parts that serve the control planes of all revisions: they stay as long as there is one. */
const shared: ReadonlySet<string> = new Set(['Base', 'Cni', 'Ztunnel']);

/** Groups of Istio's configuration: their custom resource definitions belong to Istio whoever installed them (Helm's carry no label of ours). */
const istioGroups: ReadonlySet<unknown> = new Set([
  'networking.istio.io',
  'security.istio.io',
  'telemetry.istio.io',
  'extensions.istio.io',
  'install.istio.io',
]);

/** An object of an installation that is to be removed. */
export interface Removal {
  readonly type: ResourceType;
  readonly object: KubeObject;
  /** Part of the installation that it belongs to, where its label says so. */
  readonly component: string | undefined;
}

/** What was found; and the kinds that this user may not list, so that nothing is known of them. */
export interface Found {
  readonly removals: readonly Removal[];
  readonly unseen: readonly string[];
}

async function listed(
  client: KubeClient,
  types: readonly ResourceType[],
  labelSelector?: string,
  accept: (object: KubeObject) => boolean = () => true,
): Promise<Found> {
  const unseen: string[] = [];
  const found = await Promise.all(
    types.map(async (type) => {
      try {
        const { items } = await client.list(type, {
          ...(labelSelector !== undefined && { labelSelector }),
          dropManagedFields: true,
        });
        return items.filter(accept).map(
          (object): Removal => ({
            type,
            object: {
              ...object,
              apiVersion: object.apiVersion ?? (type.group ? `${type.group}/${type.version}` : type.version),
              kind: type.kind,
            },
            component: object.metadata.labels?.[ownershipLabels.component],
          }),
        );
      } catch (error) {
        // A cluster that does not serve the kind has none of it.
        if (isNotFound(error)) return [];
        if (!(error instanceof KubeApiError && error.status === 403)) throw error;
        unseen.push(type.kind);
        return [];
      }
    }),
  );
  return { removals: found.flat(), unseen };
}

/** Removes objects in the order of their kinds; those that are gone already are no failure. Resolves with what the cluster refused. */
export async function removeAll(
  client: KubeClient,
  removals: readonly Removal[],
  onRemoved: (name: string, object: KubeObject) => void,
): Promise<readonly Refusal[]> {
  const refusals: Refusal[] = [];
  for (const type of [...prunable, kubernetesTypes.CustomResourceDefinition])
    await forAll(
      removals.filter((entry) => entry.type === type),
      async ({ object }) => {
        try {
          await client.delete(type, object.metadata.name ?? '', object.metadata.namespace);
        } catch (error) {
          if (!isNotFound(error)) {
            refusals.push(refusalOf(object, error, 'remove'));
            return;
          }
        }
        onRemoved(nameOf(object), object);
      },
    );
  return refusals;
}

/**
 * Waits until removed definitions are gone with their objects, which takes an API server a moment; whoever installs again meanwhile is told that they exist.
 * Resolves with the names of those that are still there in the end. Raises KubeApiError.
 */
export async function definitionsLeft(
  client: Pick<KubeClient, 'list'>,
  removals: readonly Removal[],
  timeoutMs: number,
): Promise<readonly string[]> {
  const uids = new Map(
    removals
      .filter(({ type }) => type === kubernetesTypes.CustomResourceDefinition)
      .map(({ object }) => [object.metadata.uid, object.metadata.name ?? '']),
  );
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (uids.size === 0) return [];
    const { items } = await client.list(kubernetesTypes.CustomResourceDefinition);
    const left = items.flatMap(({ metadata }) => uids.get(metadata.uid) ?? []);
    if (left.length === 0 || performance.now() > deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/**
 * What an earlier installation of this revision made and this one does not want; never another revision's objects, nor tags that still have a control plane
 * to send pods to. CRDs stay, and what all revisions share stays where there are `others`.
 */
export async function unwanted(
  client: KubeClient,
  wanted: readonly KubeObject[],
  revision: string,
  others: boolean,
): Promise<Found> {
  const keep = new Set(wanted.map(nameOf));
  const { removals, unseen } = await withShared(
    client,
    // Tags and the record of the installation are not labelled as managed: they go only with the control plane.
    wanted.some(({ kind }) => kind === 'MutatingWebhookConfiguration')
      ? `${ownershipLabels.managed}=Reconcile,${ownershipLabels.revision}=${revision}`
      : `${ownershipLabels.component},${ownershipLabels.revision}=${revision}`,
    others,
  );
  return { unseen, removals: removals.filter(({ object }) => !keep.has(nameOf(object))) };
}

/** What a selector finds, without what all revisions share where there are `others`, else with the core, which no revision owns. */
async function withShared(client: KubeClient, labelSelector: string, others: boolean): Promise<Found> {
  const own = await listed(client, prunable, labelSelector);
  if (others)
    return {
      ...own,
      removals: own.removals.filter(({ component }) => component === undefined || !shared.has(component)),
    };
  const core = await listed(client, prunable, `${ownershipLabels.managed}=Reconcile,${ownershipLabels.component}=Base`);
  const seen = new Set(own.removals.map(({ object }) => nameOf(object)));
  return {
    unseen: own.unseen,
    removals: [...own.removals, ...core.removals.filter(({ object }) => !seen.has(nameOf(object)))],
  };
}

/** Everything of one revision; what all revisions share only where there are no `others`. CRDs stay. */
export const ofRevision = (client: KubeClient, revision: string, others: boolean): Promise<Found> =>
  withShared(client, `${ownershipLabels.component},${ownershipLabels.revision}=${revision}`, others);

/**
 * The root certificate that istiod writes into every namespace for its pods. It goes after the rights of istiod, which otherwise brings it back, as ConfigMaps
 * come after ClusterRoleBindings. It stays where pods have proxies, which mount it: without it a kubelet starts none of their containers again.
 */
async function rootCertificates(client: KubeClient): Promise<Found> {
  const pods = await listed(client, [kubernetesTypes.Pod], 'service.istio.io/canonical-name');
  if (pods.unseen.length > 0) return { removals: [], unseen: pods.unseen };
  const inUse = new Set(pods.removals.map(({ object }) => object.metadata.namespace));
  return listed(
    client,
    [kubernetesTypes.ConfigMap],
    'istio.io/config=true',
    ({ metadata }) => metadata.name === 'istio-ca-root-cert' && !inUse.has(metadata.namespace),
  );
}

/** Everything of Istio in the cluster, its CRDs included. */
export async function everything(client: KubeClient): Promise<Found> {
  const [ours, roots] = await Promise.all([
    listed(client, prunable, ownershipLabels.component),
    rootCertificates(client),
  ]);
  const definitions = await listed(client, [kubernetesTypes.CustomResourceDefinition], undefined, (object) => {
    const { group } = (object.spec ?? {}) as { readonly group?: string };
    return object.metadata.labels?.[ownershipLabels.component] !== undefined || istioGroups.has(group);
  });
  return {
    removals: [...ours.removals, ...roots.removals, ...definitions.removals],
    unseen: [...new Set([...ours.unseen, ...roots.unseen, ...definitions.unseen])],
  };
}
