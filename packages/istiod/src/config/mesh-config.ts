import { decodeMeshConfig, defaultMeshConfig, formatProblem, type MeshConfig } from '@istio-ts/api';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { type KubeClient, type KubeObject, parseYaml, type Watch } from '@istio-ts/kube';
import type { Logger } from '../log.ts';

/** Reads the mesh configuration out of its ConfigMap (key `mesh`). Problems are for people; `undefined` when it cannot be read at all. */
export function readMeshConfigMap(object: KubeObject | undefined): {
  readonly config: MeshConfig | undefined;
  readonly problems: readonly string[];
} {
  const text = (object?.data as Readonly<Record<string, string>> | undefined)?.mesh;
  if (text === undefined) return { config: defaultMeshConfig(), problems: [] };
  let value: unknown;
  try {
    value = parseYaml(text, 'mesh');
  } catch (error) {
    return { config: undefined, problems: [`key mesh is no YAML: ${(error as Error).message}`] };
  }
  const { value: config, problems } = decodeMeshConfig(value);
  return { config, problems: problems.map(formatProblem) };
}

/**
 * Follows the ConfigMap with the mesh configuration. `onChange` hears of the first version before `synced` resolves and of every later one; a version
 * that cannot be read leaves the last good one in force.
 */
export function watchMeshConfig(
  client: KubeClient,
  where: { readonly namespace: string; readonly name: string },
  onChange: (config: MeshConfig) => void,
  log: Logger,
): { readonly synced: Promise<void>; readonly close: () => void } {
  const { promise: synced, resolve } = Promise.withResolvers<void>();
  const watch: Watch = client.watch(
    kubernetesTypes.ConfigMap,
    { namespace: where.namespace, fieldSelector: `metadata.name=${where.name}` },
    (event) => {
      if (event.type === 'SYNCED') return resolve();
      const { config, problems } = readMeshConfigMap(event.type === 'DELETED' ? undefined : event.object);
      for (const problem of problems) log.warn(`ConfigMap ${where.namespace}/${where.name}: ${problem}`);
      if (config) onChange(config);
      else
        log.error(
          `ConfigMap ${where.namespace}/${where.name} is ignored: the last valid mesh configuration stays in force`,
        );
    },
    (error) => log.debug(`watch of ConfigMap ${where.name}: ${error.message}`),
  );
  return { synced, close: () => watch.close() };
}
