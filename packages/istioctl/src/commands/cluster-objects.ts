import { type InputKind, inputTypes } from '@istio-ts/analysis/input-kinds';
import type { ClusterObjects } from '@istio-ts/analysis/snapshot';
import { KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';

/**
 * Lists what an analysis reads of a cluster: all objects of these kinds, and the mesh configuration of a revision. Kinds that the cluster does not know are
 * left out, those that the user may not list are named. Raises what the client raises for everything else.
 */
export async function readClusterObjects(
  client: KubeClient,
  cluster: string,
  kinds: ReadonlySet<InputKind>,
  meshConfig: { readonly namespace: string; readonly revision: string },
): Promise<ClusterObjects> {
  const forbidden: { kind?: InputKind; resource: string; error: string }[] = [];
  const tolerate = async (
    resource: string,
    kind: InputKind | undefined,
    read: () => Promise<readonly KubeObject[]>,
  ): Promise<readonly KubeObject[]> => {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof KubeApiError)) throw error;
      if (error.status === 404 || error.status === 405) return [];
      if (error.status !== 401 && error.status !== 403) throw error;
      forbidden.push({ ...(kind !== undefined && { kind }), resource, error: error.message });
      return [];
    }
  };
  const suffix = meshConfig.revision === 'default' ? '' : `-${meshConfig.revision}`;
  // Of ConfigMaps only the control plane's own matter, and elsewhere they may be many and large.
  const within = (kind: InputKind) => (kind === 'ConfigMap' ? { namespace: meshConfig.namespace } : {});
  const lists = [...kinds].map((kind) => {
    const type = inputTypes[kind];
    const resource = type.group === '' ? type.resource : `${type.resource}.${type.group}`;
    return tolerate(
      resource,
      kind,
      async () => (await client.list(type, { dropManagedFields: true, ...within(kind) })).items,
    );
  });
  // Where ConfigMaps are read anyway, the mesh configuration is among them.
  const config = kinds.has('ConfigMap')
    ? []
    : tolerate(`configmaps of ${meshConfig.namespace}`, undefined, async () => [
        await client.get(inputTypes.ConfigMap, `istio${suffix}`, meshConfig.namespace),
      ]);
  const objects = (await Promise.all([config, ...lists])).flat();
  return { cluster, objects, forbidden: forbidden.sort((a, b) => (a.resource < b.resource ? -1 : 1)) };
}
