import { decodeMeshNetworks, formatProblem, type MeshNetworks } from '@istio-ts/api';
import { type KubeObject, parseYaml } from '@istio-ts/kube';
import { networkProblems } from '@istio-ts/mesh';

/**
 * Reads the networks of the mesh out of the ConfigMap of the mesh configuration (key `meshNetworks`). Problems are for people; `networks` is
 * `undefined` when the key cannot be read, so that the last good version stays in force.
 */
export function readMeshNetworks(object: KubeObject | undefined): {
  readonly networks: MeshNetworks | undefined;
  readonly problems: readonly string[];
} {
  const text = (object?.data as Readonly<Record<string, string>> | undefined)?.meshNetworks;
  if (text === undefined || text.trim() === '') return { networks: { networks: {} }, problems: [] };
  let value: unknown;
  try {
    value = parseYaml(text, 'meshNetworks');
  } catch (error) {
    return { networks: undefined, problems: [`key meshNetworks is no YAML: ${(error as Error).message}`] };
  }
  const decoded = decodeMeshNetworks(value);
  const problems = decoded.problems.map((problem) => `meshNetworks: ${formatProblem(problem)}`);
  if (decoded.problems.some(({ severity }) => severity === 'error')) return { networks: undefined, problems };
  return {
    networks: decoded.value,
    problems: [
      ...problems,
      ...networkProblems(decoded.value).map(({ path, message }) => `meshNetworks: ${path}: ${message}`),
    ],
  };
}
