import { type InputKind, inputTypes } from '@istio-ts/analysis/input-kinds';
import { isNotFound, type KubeClient, type KubeObject, type ResourceType } from '@istio-ts/kube';
import { ApiFailure } from '../http/failure.ts';
import { fields, list, text } from '../mesh/read.ts';
import { type ConfigKind, configKinds, isConfigKind } from '../sources/mesh-reader.ts';

/**
 * Kinds that the console shows as text and changes nothing of: what configuration of the mesh names, what messages of the analysis are about, and what
 * istiod itself writes.
 */
const readOnlyKinds = [
  'Namespace',
  'Service',
  'ServiceAccount',
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'Job',
  'CronJob',
  'Pod',
  'ConfigMap',
  'Secret',
  'Ingress',
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
  'CustomResourceDefinition',
] as const satisfies readonly InputKind[];

/** The analysis does not read bundles, so its kinds have none; the newest version that a cluster serves is the one to ask. */
const bundleTypes: readonly ResourceType[] = ['v1', 'v1beta1', 'v1alpha1'].map((version) => ({
  group: 'certificates.k8s.io',
  version,
  resource: 'clustertrustbundles',
  kind: 'ClusterTrustBundle',
  namespaced: false,
}));

export type ShownKind = ConfigKind | (typeof readOnlyKinds)[number] | 'ClusterTrustBundle';

const isReadOnlyKind = (kind: string): kind is (typeof readOnlyKinds)[number] =>
  (readOnlyKinds as readonly string[]).includes(kind);

/** A kind out of a path. Raises ApiFailure 400. */
export function shownKindOf(kind: string): ShownKind {
  if (isConfigKind(kind) || isReadOnlyKind(kind) || kind === 'ClusterTrustBundle') return kind;
  throw new ApiFailure(
    400,
    `"${kind.slice(0, 60)}" is no kind that the console shows: use one of ${[...configKinds, ...readOnlyKinds, 'ClusterTrustBundle'].join(', ')}`,
  );
}

/** Where the API server serves a kind: several versions where it depends on the cluster which it is. */
export const typesOf = (kind: ShownKind): readonly ResourceType[] =>
  kind === 'ClusterTrustBundle' ? bundleTypes : [inputTypes[kind]];

export const isNamespaced = (kind: ShownKind): boolean => typesOf(kind)[0]?.namespaced === true;

/** One object of a kind. Raises KubeApiError. */
export async function readShown(
  client: KubeClient,
  kind: ShownKind,
  namespace: string,
  name: string,
): Promise<KubeObject> {
  const types = typesOf(kind);
  for (const [at, type] of types.entries())
    try {
      return await client.get(type, name, type.namespaced ? namespace : undefined);
    } catch (error) {
      if (at === types.length - 1 || !isNotFound(error)) throw error;
    }
  throw new ApiFailure(404, `there is no ${kind} ${name}`);
}

/** An object without what is nobody's business: of a Secret the sizes of its values stay. */
export function withoutSecrets(kind: ShownKind, object: KubeObject): KubeObject {
  if (kind !== 'Secret') return object;
  const data = Object.fromEntries(
    Object.entries(fields(object.data)).map(([key, value]) => [
      key,
      `${Buffer.from(text(value), 'base64').length} bytes, not shown`,
    ]),
  );
  const { 'kubectl.kubernetes.io/last-applied-configuration': _applied, ...annotations } =
    object.metadata.annotations ?? {};
  return { ...object, metadata: { ...object.metadata, annotations }, data };
}

/** Objects of the cluster that istiod writes; lists have them beside the configuration that people write. */
export const meshesOwnKinds = [
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
] as const satisfies readonly ShownKind[];
export type MeshesOwnKind = (typeof meshesOwnKinds)[number];

export const isMeshesOwnKind = (kind: string): kind is MeshesOwnKind =>
  (meshesOwnKinds as readonly string[]).includes(kind);

/** Whether webhooks lead to an istiod of this namespace: a cluster has many others. */
export const leadsToIstiod = (object: KubeObject, istioNamespace: string): boolean =>
  list(object.webhooks).some(({ clientConfig }) => {
    const service = fields(fields(clientConfig).service);
    return text(service.namespace) === istioNamespace && text(service.name).startsWith('istiod');
  });
