import type { Json, JsonObject } from '../config/network-list.ts';
import { memberText } from '../config/member-text.ts';
import { SUPPORTED_VERSIONS } from './quick-answer.ts';

/** Codes of errors; below 100 as in the CNI specification ("Error"), from 100 on the plugin's own. */
export const ERROR = {
  incompatibleVersion: 1,
  invalidEnvironment: 4,
  inputFailure: 5,
  decodeFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
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

/** Commands that need a look at the configuration; the others see quick-answer.ts. */
export type CniCommand = 'ADD' | 'CHECK';

/** One call of a container runtime, decoded from environment and standard input. */
export interface CniRequest {
  readonly command: CniCommand;
  readonly containerId: string;
  /** Path of the pod's network namespace. */
  readonly netns: string;
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string | undefined } | undefined;
  readonly cniVersion: string;
  /** Our entry of the chain, completed by the runtime with name, version and `prevResult`. */
  readonly config: JsonObject;
  /** `prevResult` as the runtime wrote it; undefined when there is none. */
  readonly previous: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const COMMANDS: readonly string[] = ['ADD', 'CHECK'];
const isCommand = (word: string): word is CniCommand => COMMANDS.includes(word);

/** Reads a call (CNI specification, "Execution protocol"). Raises {@link CniError}. */
export function readRequest(env: Environment, input: string): CniRequest {
  const command = env.CNI_COMMAND ?? '';
  if (!isCommand(command))
    throw new CniError(
      ERROR.invalidEnvironment,
      `CNI_COMMAND: "${command}" is not one of ADD, DEL, CHECK, GC, STATUS, VERSION; this program is called by container runtimes`,
    );
  let config: Json;
  try {
    config = JSON.parse(input) as Json;
  } catch (error) {
    throw new CniError(ERROR.decodeFailure, `configuration is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(config)) throw new CniError(ERROR.decodeFailure, 'configuration is not a JSON object');
  const fields = config;
  const cniVersion = typeof fields.cniVersion === 'string' ? fields.cniVersion : '0.3.1';
  if (!SUPPORTED_VERSIONS.some((version) => version === cniVersion))
    throw new CniError(
      ERROR.incompatibleVersion,
      `CNI version ${cniVersion} is not supported; supported are ${SUPPORTED_VERSIONS.join(', ')}`,
    );
  const required = (name: string): string => {
    const value = env[name] ?? '';
    if (value === '') throw new CniError(ERROR.invalidEnvironment, `${name} is missing`);
    return value;
  };
  return {
    command,
    containerId: required('CNI_CONTAINERID'),
    netns: required('CNI_NETNS'),
    pod: readPod(env.CNI_ARGS ?? ''),
    cniVersion,
    config: fields,
    previous: isObject(fields.prevResult) ? memberText(input, 'prevResult') : undefined,
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

/** What the plugin before us answered, passed on as it is; an empty result where we are the only one (Multus). */
export function passResult({ previous, cniVersion }: CniRequest): string {
  return previous ?? JSON.stringify({ cniVersion, interfaces: [], ips: [], routes: [], dns: {} });
}

/** Families of the pod's addresses by the result so far; all that this kernel has when it says nothing. */
export function addressFamilies({ config }: CniRequest, kernelHasIpv6: boolean): readonly (4 | 6)[] {
  const previous = config.prevResult as { readonly ips?: readonly { readonly address?: unknown }[] } | undefined;
  const addresses = (Array.isArray(previous?.ips) ? previous.ips : [])
    .map((entry) => entry?.address)
    .filter((address): address is string => typeof address === 'string');
  if (addresses.length === 0) return kernelHasIpv6 ? [4, 6] : [4];
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
