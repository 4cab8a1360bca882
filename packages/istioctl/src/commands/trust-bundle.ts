import { type JsonObject, mountsTrustBundle, type TrustBundle } from '@istio-ts/injector';
import { isNotFound, KubeApiError, type KubeClient } from '@istio-ts/kube';

/** What istiod writes where its installation asks for it; see its `cluster-trust-bundle.ts`. */
const NAME = 'istio.io:istiod-ca:root-cert';

/** Whether pods can mount the mesh's ClusterTrustBundle; undefined where nobody asks for it, or where this user may not see it. Raises KubeApiError. */
export async function trustBundleOf(
  client: Pick<KubeClient, 'get'>,
  values: JsonObject,
): Promise<TrustBundle | undefined> {
  if (!mountsTrustBundle(values)) return undefined;
  for (const version of ['v1', 'v1beta1', 'v1alpha1'])
    try {
      const resource = { resource: 'clustertrustbundles', kind: 'ClusterTrustBundle', namespaced: false } as const;
      await client.get({ group: 'certificates.k8s.io', version, ...resource }, NAME);
      return 'served';
    } catch (error) {
      if (error instanceof KubeApiError && error.status === 403) return undefined;
      if (!isNotFound(error)) throw error;
    }
  return 'absent';
}
