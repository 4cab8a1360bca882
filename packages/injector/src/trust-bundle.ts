import type { ResourceType } from '@istio-ts/kube/object';
import { type JsonObject, objectAt } from './json.ts';

/** Name of the bundle and whom it is from (Istio: ENABLE_CLUSTER_TRUST_BUNDLE_API); the name has to begin with the signer's. */
export const TRUST_BUNDLE_NAME = 'istio.io:istiod-ca:root-cert';
export const TRUST_BUNDLE_SIGNER = 'istio.io/istiod-ca';

/** The kind in each version that API servers have had, the newest first. */
export const TRUST_BUNDLE_TYPES: readonly ResourceType[] = ['v1', 'v1beta1', 'v1alpha1'].map((version) => ({
  group: 'certificates.k8s.io',
  version,
  resource: 'clustertrustbundles',
  kind: 'ClusterTrustBundle',
  namespaced: false,
}));

/** Whether the cluster has the ClusterTrustBundle with the mesh's trust anchors, which pods mount when the installation asks for it. */
export type TrustBundle = 'served' | 'absent';

const SETTING = 'ENABLE_CLUSTER_TRUST_BUNDLE_API';

/** Whether an installation with these values asks for pods that mount the bundle. */
export const mountsTrustBundle = (values: JsonObject): boolean =>
  String(objectAt(values, 'pilot', 'env')[SETTING]) === 'true';

/**
 * The values that templates read: pods mount the ConfigMap of their namespace where the bundle is absent. An API server that does not know bundles takes
 * such a volume, and leaves it empty.
 */
export function trustBundleValues(values: JsonObject, bundle: TrustBundle | undefined): JsonObject {
  if (bundle !== 'absent' || !mountsTrustBundle(values)) return values;
  const pilot = objectAt(values, 'pilot');
  return { ...values, pilot: { ...pilot, env: { ...objectAt(pilot, 'env'), [SETTING]: 'false' } } };
}
