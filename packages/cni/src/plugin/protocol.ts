import type { Json, JsonObject } from '../config/network-list.ts';

/** Versions of the CNI specification that the plugin speaks. */
export const SUPPORTED_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

/** Codes of errors; below 100 as in the CNI specification ("Error"), from 100 on the plugin's own. */
export const ERROR = {
  incompatibleVersion: 1,
  invalidEnvironment: 4,
  decodeFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  notAvailable: 50,
  podUnknown: 100,
  rulesFailed: 101,
  rulesMissing: 102,
} as const;

/** An answer to the container runtime that says why a call failed; it becomes the pod's event. */
export class CniError extends Error {
  readonly code: number;
  readonly details: string | undefined;
  constructor(code: number, message: string, details?: string) {
    super(message);
    this.name = 'CniError';
    this.code = code;
    this.details = details;
  }
}

export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** One call of a container runtime, decoded from environment and standard input. */
export interface CniRequest {
  readonly command: CniCommand;
  readonly containerId: string;
  /** Path of the pod's network namespace; may be empty for DEL. */
  readonly netns: string;
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string | undefined } | undefined;
  readonly cniVersion: string;
  /** Our entry of the chain, completed by the runtime with name, version and `prevResult`. */
  readonly config: JsonObject;
}

type Environment = Readonly<Record<string, string | undefined>>;

const COMMANDS: readonly string[] = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'];
const isCommand = (word: string): word is CniCommand => COMMANDS.includes(word);

/** Reads a call (CNI specification, "Execution protocol"). Raises {@link CniError}. */
export function readRequest(env: Environment, input: string): CniRequest {
  const command = env.CNI_COMMAND ?? '';
  if (!isCommand(command))
    throw new CniError(
      ERROR.invalidEnvironment,
      `CNI_COMMAND: "${command}" is not one of ${COMMANDS.join(', ')}; this program is called by container runtimes`,
    );
  let config: Json;
  try {
    config = JSON.parse(input === '' && command === 'VERSION' ? '{}' : input) as Json;
  } catch (error) {
    throw new CniError(ERROR.decodeFailure, `configuration is not JSON: ${(error as Error).message}`);
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new CniError(ERROR.decodeFailure, 'configuration is not a JSON object');
  const fields = config as JsonObject;
  const cniVersion = typeof fields.cniVersion === 'string' ? fields.cniVersion : '0.3.1';
  if (command !== 'VERSION' && !SUPPORTED_VERSIONS.some((version) => version === cniVersion))
    throw new CniError(
      ERROR.incompatibleVersion,
      `CNI version ${cniVersion} is not supported; supported are ${SUPPORTED_VERSIONS.join(', ')}`,
    );
  const required = (name: string): string => {
    const value = env[name] ?? '';
    if (value === '' && (command === 'ADD' || command === 'CHECK'))
      throw new CniError(ERROR.invalidEnvironment, `${name} is missing`);
    return value;
  };
  return {
    command,
    containerId: required('CNI_CONTAINERID'),
    netns: required('CNI_NETNS'),
    pod: readPod(env.CNI_ARGS ?? ''),
    cniVersion,
    config: fields,
  };
}

/** The pod of a call, as kubelet's runtimes give it; undefined when something else than Kubernetes calls. */
function readPod(args: string): CniRequest['pod'] {
  const values = new Map(
    args.split(';').map((pair) => {
      const [key = '', value = ''] = pair.split(/=(.*)/s);
      return [key, value] as const;
    }),
  );
  const namespace = values.get('K8S_POD_NAMESPACE') ?? '';
  const name = values.get('K8S_POD_NAME') ?? '';
  if (namespace === '' || name === '') return undefined;
  return { namespace, name, uid: values.get('K8S_POD_UID') || undefined };
}

/** What the plugin before us answered, passed on unchanged; an empty result where we are the only one (Multus). */
export function passResult({ config, cniVersion }: CniRequest): JsonObject {
  const previous = config.prevResult;
  if (typeof previous === 'object' && previous !== null && !Array.isArray(previous)) return previous as JsonObject;
  return { cniVersion, interfaces: [], ips: [], routes: [], dns: {} };
}

/** Families of the pod's addresses by the result so far; both when it says nothing. */
export function addressFamilies({ config }: CniRequest): readonly (4 | 6)[] {
  const previous = config.prevResult as { readonly ips?: readonly { readonly address?: unknown }[] } | undefined;
  const addresses = (Array.isArray(previous?.ips) ? previous.ips : [])
    .map((entry) => entry?.address)
    .filter((address): address is string => typeof address === 'string');
  if (addresses.length === 0) return [4, 6];
  // Loopback of both families is always there; IPv4 rules cost nothing in a pod that has only IPv6.
  return addresses.some((address) => address.includes(':')) ? [4, 6] : [4];
}

/** The answer to a call that failed (CNI specification, "Error"). */
export function formatError(error: unknown, cniVersion: string): string {
  const known = error instanceof CniError ? error : undefined;
  return JSON.stringify({
    cniVersion,
    code: known?.code ?? 999,
    msg: `istio-cni: ${error instanceof Error ? error.message : String(error)}`,
    ...(known?.details !== undefined && { details: known.details }),
  });
}
