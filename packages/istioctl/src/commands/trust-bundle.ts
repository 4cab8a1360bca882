import {
  type JsonObject,
  mountsTrustBundle,
  TRUST_BUNDLE_NAME,
  TRUST_BUNDLE_TYPES,
  type TrustBundle,
} from '@istio-ts/injector';
import { isNotFound, KubeApiError, type KubeClient } from '@istio-ts/kube';

/** Whether pods can mount the mesh's ClusterTrustBundle; undefined where nobody asks for it, or where this user may not see it. Raises KubeApiError. */
export async function trustBundleOf(
  client: Pick<KubeClient, 'get'>,
  values: JsonObject,
): Promise<TrustBundle | undefined> {
  if (!mountsTrustBundle(values)) return undefined;
  for (const type of TRUST_BUNDLE_TYPES)
    try {
      await client.get(type, TRUST_BUNDLE_NAME);
      return 'served';
    } catch (error) {
      if (error instanceof KubeApiError && error.status === 403) return undefined;
      if (!isNotFound(error)) throw error;
    }
  return 'absent';
}
