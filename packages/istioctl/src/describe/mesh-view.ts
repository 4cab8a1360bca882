import { decodeMeshConfig, defaultMeshConfig, type MeshConfig } from '@istio-ts/api';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import { isNotFound, type KubeClient, type KubeObject, parseYaml, type ResourceType } from '@istio-ts/kube';
import { createMesh, type Mesh, MeshSources } from '@istio-ts/mesh';

/** The mesh as istiod would derive it from the cluster's objects, and those objects of which more is told than the mesh keeps. */
export interface MeshView {
  readonly mesh: Mesh;
  readonly rootNamespace: string;
  readonly pods: readonly KubeObject[];
  readonly services: readonly KubeObject[];
}

const resources: readonly ResourceType[] = [
  kubernetesTypes.Namespace,
  kubernetesTypes.Service,
  kubernetesTypes.Pod,
  istioTypes.ServiceEntry,
  istioTypes.VirtualService,
  istioTypes.DestinationRule,
  istioTypes.Gateway,
  istioTypes.PeerAuthentication,
  istioTypes.RequestAuthentication,
  istioTypes.AuthorizationPolicy,
];

/** All objects of a kind; none where the cluster does not know it. */
async function all(client: KubeClient, type: ResourceType): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(type, { dropManagedFields: true })).items;
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

/** The mesh configuration of the default revision; the defaults where there is none that can be read. */
async function meshConfig(client: KubeClient, istioNamespace: string): Promise<MeshConfig> {
  try {
    const map = await client.get(kubernetesTypes.ConfigMap, 'istio', istioNamespace);
    const written = (map.data as Readonly<Record<string, string>> | undefined)?.mesh ?? '';
    return decodeMeshConfig(parseYaml(written, 'mesh')).value;
  } catch {
    // Not there, not readable or no YAML: the defaults then are the best guess.
    return defaultMeshConfig();
  }
}

/** Builds the view out of objects, which may come from anywhere. */
export function meshView(objects: readonly KubeObject[], config: MeshConfig): MeshView {
  const sources = new MeshSources({ meshConfig: config, onError: () => undefined });
  sources.batch(() => {
    for (const object of objects) sources.set(object);
  });
  return {
    mesh: createMesh(sources),
    rootNamespace: config.rootNamespace || 'istio-system',
    pods: objects.filter(({ kind }) => kind === 'Pod'),
    services: objects.filter(({ kind }) => kind === 'Service'),
  };
}

/** Reads the cluster. */
export async function loadMeshView(client: KubeClient, istioNamespace: string): Promise<MeshView> {
  const [config, ...lists] = await Promise.all([
    meshConfig(client, istioNamespace),
    ...resources.map((type) => all(client, type)),
  ]);
  return meshView(lists.flat(), config);
}
