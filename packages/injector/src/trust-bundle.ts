import { type JsonObject, objectAt } from './json.ts';

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
