import { decodeMeshConfig, defaultMeshConfig, formatProblem, type MeshConfig, type MeshNetworks } from '@istio-ts/api';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { type KubeClient, type KubeObject, parseYaml, type Watch } from '@istio-ts/kube';
import { meshTelemetryProblems } from '@istio-ts/mesh/mesh-telemetry-problems';
import { isTrustDomain } from '@istio-ts/security';
import type { Logger } from '../log.ts';
import { readMeshNetworks } from './mesh-networks.ts';
import { withProviderHeaders } from './provider-headers.ts';

/**
 * Reads the mesh configuration out of its ConfigMap (key `mesh`). Problems are for people; `config` is `undefined` when it cannot be read at all, and
 * has defaults in the place of fields that cannot be read: `complete` is false then.
 */
export function readMeshConfigMap(object: KubeObject | undefined): {
  readonly config: MeshConfig | undefined;
  readonly complete: boolean;
  readonly problems: readonly string[];
} {
  const text = (object?.data as Readonly<Record<string, string>> | undefined)?.mesh;
  if (text === undefined) return { config: defaultMeshConfig(), complete: true, problems: [] };
  let value: unknown;
  try {
    value = parseYaml(text, 'mesh');
  } catch (error) {
    return { config: undefined, complete: false, problems: [`key mesh is no YAML: ${(error as Error).message}`] };
  }
  const { value: decoded, problems } = decodeMeshConfig(value);
  const { mesh: config, missing } = withProviderHeaders(decoded, process.env);
  const complete = problems.every(({ severity }) => severity !== 'error');
  const messages = [...problems.map(formatProblem), ...missing, ...meshTelemetryProblems(config)];
  // Every identity of the mesh has it in its name, so nobody would get a certificate.
  const { trustDomain } = config;
  if (trustDomain === undefined || trustDomain === '' || isTrustDomain(trustDomain))
    return { config, complete, problems: messages };
  return {
    config: { ...config, trustDomain: defaultMeshConfig().trustDomain },
    complete: false,
    problems: [
      ...messages,
      `trustDomain: ${JSON.stringify(trustDomain)} is none: use lower-case letters, digits, ".", "-" and "_"`,
    ],
  };
}

/**
 * Follows the ConfigMap with the mesh configuration. `onChange` hears of the first version before `synced` resolves and of every later one; a version
 * that cannot be read, or only in part, leaves the last good one in force: a slip in one field must not reset it for the whole mesh. Only where there is
 * none yet is one taken as far as it can be read. `onNetworks` hears of the networks beside it (key `meshNetworks`) in the same way.
 */
export function watchMeshConfig(
  client: KubeClient,
  where: { readonly namespace: string; readonly name: string },
  onChange: (config: MeshConfig) => void,
  log: Logger,
  onNetworks: (networks: MeshNetworks) => void = () => undefined,
): { readonly synced: Promise<void>; readonly close: () => void } {
  const { promise: synced, resolve } = Promise.withResolvers<void>();
  let good = false;
  const watch: Watch = client.watch(
    kubernetesTypes.ConfigMap,
    { namespace: where.namespace, fieldSelector: `metadata.name=${where.name}` },
    (event) => {
      if (event.type === 'SYNCED') return resolve();
      const object = event.type === 'DELETED' ? undefined : event.object;
      const { networks, problems: ofNetworks } = readMeshNetworks(object);
      for (const problem of ofNetworks) log.warn(`ConfigMap ${where.namespace}/${where.name}: ${problem}`);
      if (networks) onNetworks(networks);
      const { config, complete, problems } = readMeshConfigMap(object);
      for (const problem of problems) log.warn(`ConfigMap ${where.namespace}/${where.name}: ${problem}`);
      if (config && (complete || !good)) {
        good ||= complete;
        onChange(config);
      } else
        log.error(
          `ConfigMap ${where.namespace}/${where.name} is ignored: the last valid mesh configuration stays in force`,
        );
    },
    (error) => log.debug(`watch of ConfigMap ${where.name}: ${error.message}`),
  );
  return { synced, close: () => watch.close() };
}
