import { type NativeSidecarSetting, parseNativeSidecars } from '@istio-ts/injector/native-sidecars';

/** How a control plane is set up: the flags and environment variables of pilot-discovery (istio-surface.md, Ports and environment variables). */
export interface Settings {
  readonly namespace: string;
  readonly revision: string;
  readonly clusterId: string;
  readonly dnsDomain: string;
  readonly trustDomain: string;
  readonly podName: string;
  /** Host and port each; an empty host means every address. */
  readonly grpc: ListenAddress;
  readonly secureGrpc: ListenAddress;
  readonly http: ListenAddress;
  readonly https: ListenAddress;
  readonly monitoring: ListenAddress;
  readonly controlZ: ListenAddress;
  readonly kubeconfig: string | undefined;
  readonly logLevels: string;
  readonly stackTraceLevels: string;
  /** Scopes whose lines tell the place in the code. */
  readonly logCallers: readonly string[];
  readonly logAsJson: boolean;
  readonly shutdownMs: number;
  readonly keepaliveMs: number;
  readonly tokenAudiences: readonly string[];
  readonly injectionWebhookName: string;
  readonly validationWebhookName: string;
  readonly meshConfigMapName: string;
  readonly injectorConfigMapName: string;
  /** ENABLE_NATIVE_SIDECARS. */
  readonly nativeSidecars: NativeSidecarSetting;
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** A flag or variable that cannot be used; the message names it and says what is expected. */
export class SettingsError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SettingsError';
  }
}

type Env = Readonly<Record<string, string | undefined>>;

const flagNames = [
  'caCertFile',
  'clusterAliases',
  'clusterID',
  'clusterRegistriesNamespace',
  'cniNamespace',
  'configDir',
  'ctrlz_address',
  'ctrlz_port',
  'domain',
  'grpcAddr',
  'httpAddr',
  'httpsAddr',
  'keepaliveInterval',
  'keepaliveMaxServerConnectionAge',
  'keepaliveTimeout',
  'kubeconfig',
  'kubernetesApiBurst',
  'kubernetesApiQPS',
  'log_as_json',
  'log_caller',
  'log_output_level',
  'log_stacktrace_level',
  'log_target',
  'meshConfig',
  'monitoringAddr',
  'namespace',
  'networksConfig',
  'profile',
  'registries',
  'secureGRPCAddr',
  'shutdownDuration',
  'tls-cipher-suites',
  'tls-min-version',
  'tlsCertFile',
  'tlsKeyFile',
  'vklog',
] as const;
const booleanFlags = new Set(['log_as_json', 'profile']);
const aliases: Readonly<Record<string, string>> = { n: 'namespace' };

function parseFlags(words: readonly string[]): ReadonlyMap<string, string> {
  const flags = new Map<string, string>();
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (!word.startsWith('-')) throw new SettingsError(`'${word}' is not expected here: give flags as --name=value`);
    const [name = '', inline] = word.replace(/^--?/, '').split(/=(.*)/s);
    const flag = aliases[name] ?? name;
    if (!flagNames.some((known) => known === flag))
      throw new SettingsError(`unknown flag --${name}: run 'pilot-discovery discovery --help' for the list`);
    if (inline !== undefined) flags.set(flag, inline);
    else if (booleanFlags.has(flag)) flags.set(flag, 'true');
    else {
      const value = words[++index];
      if (value === undefined) throw new SettingsError(`flag --${name} needs a value`);
      flags.set(flag, value);
    }
  }
  return flags;
}

/** Reads `host:port`, `:port` or a bare port. */
export function parseListenAddress(flag: string, text: string): ListenAddress {
  const at = text.lastIndexOf(':');
  const port = Number(text.slice(at + 1));
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new SettingsError(`--${flag}: '${text}' is not an address of the form HOST:PORT or :PORT`);
  return { host: at > 0 ? text.slice(0, at).replace(/^\[|\]$/g, '') : '', port };
}

/** Reads a duration in Go's notation (`30s`, `1m30s`) into milliseconds. */
function durationMs(flag: string, text: string): number {
  const units: Readonly<Record<string, number>> = {
    ns: 1e-6,
    us: 1e-3,
    µs: 1e-3,
    ms: 1,
    s: 1000,
    m: 60_000,
    h: 3_600_000,
  };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text)
    throw new SettingsError(`--${flag}: '${text}' is not a duration such as 30s`);
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * (units[unit ?? ''] ?? 0), 0);
}

/** Reads ENABLE_NATIVE_SIDECARS. */
function nativeSidecarSetting(value: string | undefined): NativeSidecarSetting {
  const setting = parseNativeSidecars(value);
  if (setting === undefined)
    throw new SettingsError(`ENABLE_NATIVE_SIDECARS: '${value}' is none of auto, true and false`);
  return setting;
}

/** Reads the settings of `pilot-discovery discovery`. Raises {@link SettingsError}. */
export function parseSettings(words: readonly string[], env: Env): Settings {
  const flags = parseFlags(words);
  const text = (flag: string, fallback: string) => flags.get(flag) ?? fallback;
  const address = (flag: string, fallback: string) => parseListenAddress(flag, text(flag, fallback));
  const namespace = text('namespace', env.POD_NAMESPACE || 'istio-system');
  const revision = env.REVISION || 'default';
  return {
    namespace,
    revision,
    clusterId: text('clusterID', env.CLUSTER_ID || 'Kubernetes'),
    dnsDomain: text('domain', 'cluster.local'),
    trustDomain: env.TRUST_DOMAIN || 'cluster.local',
    podName: env.POD_NAME || 'istiod',
    grpc: address('grpcAddr', ':15010'),
    secureGrpc: address('secureGRPCAddr', ':15012'),
    http: address('httpAddr', ':8080'),
    https: address('httpsAddr', ':15017'),
    monitoring: address('monitoringAddr', ':15014'),
    controlZ: {
      host: text('ctrlz_address', 'localhost'),
      port: parseListenAddress('ctrlz_port', text('ctrlz_port', '9876')).port,
    },
    kubeconfig: flags.get('kubeconfig') || undefined,
    logLevels: text('log_output_level', 'default:info'),
    stackTraceLevels: text('log_stacktrace_level', 'default:none'),
    logCallers: text('log_caller', '').split(',').filter(Boolean),
    logAsJson: text('log_as_json', 'false') === 'true',
    shutdownMs: durationMs('shutdownDuration', text('shutdownDuration', '10s')),
    keepaliveMs: durationMs('keepaliveInterval', text('keepaliveInterval', '30s')),
    tokenAudiences: (env.TOKEN_AUDIENCES || 'istio-ca').split(','),
    injectionWebhookName: env.INJECTION_WEBHOOK_CONFIG_NAME || 'istio-sidecar-injector',
    validationWebhookName:
      env.VALIDATION_WEBHOOK_CONFIG_NAME ||
      `istio-validator${revision === 'default' ? '' : `-${revision}`}-${namespace}`,
    meshConfigMapName: env.SHARED_MESH_CONFIG || (revision === 'default' ? 'istio' : `istio-${revision}`),
    injectorConfigMapName: revision === 'default' ? 'istio-sidecar-injector' : `istio-sidecar-injector-${revision}`,
    nativeSidecars: nativeSidecarSetting(env.ENABLE_NATIVE_SIDECARS),
  };
}
