import { readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import type { AgentInputs } from './environment.ts';
import type { Json } from './json.ts';
import { mayListenOnPrivilegedPorts } from './privileged-ports.ts';

/** Reads a file that a pod may or may not mount. */
export function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function isJson(text: string | undefined): boolean {
  if (text === undefined || text.trim() === '') return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Collects what the pod gives the agent. The YAML library is loaded only when something is YAML, which injection never writes. */
export async function readInputs(env: NodeJS.ProcessEnv, meshConfigFile: string): Promise<AgentInputs> {
  const meshText = readOptional(meshConfigFile);
  const podAnnotations = readOptional('./etc/istio/pod/annotations');
  const needsYaml =
    !isJson(meshText) || !isJson(env.PROXY_CONFIG) || (podAnnotations?.includes('proxy.istio.io/config') ?? false);
  const parseYaml = needsYaml ? await loadYaml() : (text: string) => JSON.parse(text) as Json;
  return {
    env,
    podLabels: readOptional('./etc/istio/pod/labels'),
    podAnnotations,
    meshConfig: meshText === undefined || meshText.trim() === '' ? undefined : parseYaml(meshText),
    interfaceAddresses: Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter((address) => !address.internal && !address.address.startsWith('fe80:'))
      .map((address) => address.address),
    hostName: hostname(),
    privilegedPorts: mayListenOnPrivilegedPorts(
      readOptional('/proc/sys/net/ipv4/ip_unprivileged_port_start'),
      readOptional('/proc/self/status'),
    ),
    parseYaml,
  };
}

async function loadYaml(): Promise<(text: string) => Json> {
  const yaml = await import('js-yaml');
  return (text) => yaml.load(text) as Json;
}
