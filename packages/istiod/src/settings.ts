import { type ParsedArguments, parseArguments, UsageError } from '@istio-ts/command-line/arguments';
import { type NativeSidecarSetting, parseNativeSidecars } from '@istio-ts/injector/native-sidecars';
import type { TrafficSwitches } from '@istio-ts/mesh/model';
import { type AuthoritySettings, authoritySettings } from './authority/settings.ts';
import { type AddressRanges, wantedAddresses } from './controllers/auto-allocate.ts';
import type { Environment } from './environment.ts';
import { DISCOVERY_FLAGS } from './flags.ts';
import {
  flaggedCertificate,
  type IdentitySettings,
  IdentitySettingsError,
  readIdentitySettings,
} from './identity/identity-settings.ts';
import { type TokenKeySettings, tokenKeySettings } from './jwks/settings.ts';
import { commaList, durationMs, type ListenAddress, parseListenAddress, SettingsError } from './setting-values.ts';
import { readTrafficSwitches, TrafficSwitchError } from './traffic-switches.ts';

/** How a control plane is set up: the flags and environment variables of pilot-discovery (istio-surface.md, Ports and environment variables). */
export interface Settings {
  readonly namespace: string;
  readonly revision: string;
  readonly clusterId: string;
  readonly dnsDomain: string;
  readonly trustDomain: string;
  readonly podName: string;
  /** ISTIO_TS_SECRET_NAMESPACES and the own namespace; undefined for those of all namespaces. */
  readonly secretNamespaces: readonly string[] | undefined;
  /** ISTIO_WATCH_NAMESPACE: the only namespace, beside istiod's own, that counts; undefined for all. */
  readonly watchedNamespace: string | undefined;
  /** PILOT_IGNORE_RESOURCES and PILOT_INCLUDE_RESOURCES: kinds of configuration that are not watched, and exceptions of that. */
  readonly ignoredKinds: { readonly ignore: readonly string[]; readonly include: readonly string[] };
  /** ENABLE_CA_SERVER */
  readonly signsCertificates: boolean;
  /** DEBUG_ENDPOINT_AUTH_ALLOWED_NAMESPACES, and istiod's own: their identities may ask all debug questions. */
  readonly debugNamespaces: readonly string[];
  /** Host and port each; an empty host means every address. */
  readonly grpc: ListenAddress;
  readonly secureGrpc: ListenAddress;
  readonly http: ListenAddress;
  readonly https: ListenAddress;
  readonly monitoring: ListenAddress;
  readonly controlZ: ListenAddress;
  readonly tokenKeys: TokenKeySettings;
  readonly kubeconfig: string | undefined;
  readonly logLevels: string;
  readonly stackTraceLevels: string;
  /** Scopes whose lines tell the place in the code. */
  readonly logCallers: readonly string[];
  readonly logAsJson: boolean;
  readonly shutdownMs: number;
  readonly keepaliveMs: number;
  readonly tokenAudiences: readonly string[];
  readonly identity: IdentitySettings;
  /** PILOT_MAX_REQUESTS_PER_SECOND: streams of proxies that may begin in a second; 0 for any number. */
  readonly connectionsPerSecond: number;
  /** PILOT_ENABLE_XDS_IDENTITY_CHECK: a proxy's proved identity must be of its namespace. */
  readonly checkIdentity: boolean;
  readonly injectionWebhookName: string;
  readonly validationWebhookName: string;
  readonly meshConfigMapName: string;
  readonly injectorConfigMapName: string;
  /** Nodes whose taint goes when their CNI agent is ready; undefined leaves nodes alone. */
  readonly untaint: { readonly namespace: string; readonly taint: string } | undefined;
  /** PILOT_SCOPE_GATEWAY_TO_NAMESPACE. */
  readonly gatewaysSelectOwnNamespaceOnly: boolean;
  /** PILOT_ENABLE_QUIC_LISTENERS. */
  readonly quicListeners: boolean;
  /** PILOT_ENABLE_MONGO_FILTER, PILOT_ENABLE_REDIS_FILTER: the protocols of databases for which proxies get filters. */
  readonly wireFilters: readonly ('Mongo' | 'Redis')[];
  /** What changes what all proxies get. */
  readonly switches: TrafficSwitches;
  /** PILOT_ENABLE_SERVICEENTRY_SELECT_PODS. */
  readonly entriesSelectPods: boolean;
  /** PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES. */
  readonly servicesSelectEntries: boolean;
  /** ISTIO_TS_FORBID_FOREIGN_HOSTS. */
  readonly forbidsForeignHosts: boolean;
  /** PILOT_HTTP10: all proxies answer HTTP/1.0. */
  readonly http10: boolean;
  /** RESOLVE_HOSTNAME_GATEWAYS: DNS names of gateways of networks are resolved; else such gateways are left out. */
  readonly resolveGatewayNames: boolean;
  /** K8S_INGRESS_NS: namespace of the gateway for Kubernetes Ingress. */
  readonly ingressNamespace: string;
  /** ENABLE_NATIVE_SIDECARS. */
  readonly nativeSidecars: NativeSidecarSetting;
  /** Ranges of addresses for ServiceEntries without any; undefined where they get none (PILOT_ENABLE_IP_AUTOALLOCATE). */
  readonly autoAddresses: AddressRanges | undefined;
  readonly authority: AuthoritySettings;
  /** PILOT_ENVOY_FILTER_STATS. */
  readonly envoyFilterStats: boolean;
  /** PILOT_ANALYSIS_INTERVAL in milliseconds, PILOT_STATUS_MAX_WORKERS; undefined where nothing is analysed (PILOT_ENABLE_ANALYSIS). */
  readonly analysis: { readonly intervalMs: number; readonly workers: number } | undefined;
  readonly workloadEntries: {
    /** PILOT_ENABLE_WORKLOAD_ENTRY_AUTOREGISTRATION */
    readonly register: boolean;
    /** PILOT_ENABLE_WORKLOAD_ENTRY_HEALTHCHECKS */
    readonly healthChecks: boolean;
    readonly graceMs: number;
  };
}

const isNamespace = (name: string): boolean => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name);

/** Reads ISTIO_TS_SECRET_NAMESPACES. */
function secretNamespaces(env: Environment, own: string): readonly string[] | undefined {
  const names = commaList(env.ISTIO_TS_SECRET_NAMESPACES);
  for (const name of names)
    if (!isNamespace(name)) throw new SettingsError(`ISTIO_TS_SECRET_NAMESPACES: '${name}' is no name of a namespace`);
  return names.length === 0 ? undefined : [...new Set([own, ...names])];
}

/** Reads the flags of `pilot-discovery discovery`. Raises {@link SettingsError}. */
export function parseDiscoveryFlags(words: readonly string[]): ParsedArguments {
  try {
    const args = parseArguments(words, DISCOVERY_FLAGS);
    const [word] = args.positionals;
    if (word !== undefined) throw new SettingsError(`'${word}' is not expected here: give flags as --name=value`);
    return args;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new SettingsError(`${error.message}: run 'pilot-discovery discovery --help' for the list`);
  }
}

/** Reads ENABLE_NATIVE_SIDECARS. */
function nativeSidecarSetting(value: string | undefined): NativeSidecarSetting {
  const setting = parseNativeSidecars(value);
  if (setting === undefined)
    throw new SettingsError(`ENABLE_NATIVE_SIDECARS: '${value}' is none of auto, true and false`);
  return setting;
}

/** Reads PILOT_ENABLE_ANALYSIS, PILOT_ANALYSIS_INTERVAL and PILOT_STATUS_MAX_WORKERS. */
function analysis(env: Environment): Settings['analysis'] {
  if (env.PILOT_ENABLE_ANALYSIS === 'false') return undefined;
  const workers = Number(env.PILOT_STATUS_MAX_WORKERS || '100');
  if (!Number.isInteger(workers) || workers < 1)
    throw new SettingsError(`PILOT_STATUS_MAX_WORKERS: '${env.PILOT_STATUS_MAX_WORKERS}' is not a number of workers`);
  return { intervalMs: durationMs('PILOT_ANALYSIS_INTERVAL', env.PILOT_ANALYSIS_INTERVAL || '10s'), workers };
}

/** Reads PILOT_ENABLE_IP_AUTOALLOCATE and the ranges. */
function autoAddresses(env: Environment): AddressRanges | undefined {
  if (env.PILOT_ENABLE_IP_AUTOALLOCATE === 'false') return undefined;
  const ranges = {
    ipv4: env.PILOT_IP_AUTOALLOCATE_IPV4_PREFIX || '240.240.0.0/16',
    ipv6: env.PILOT_IP_AUTOALLOCATE_IPV6_PREFIX || '2001:2::/48',
  };
  try {
    wantedAddresses(new Map(), ranges);
  } catch (error) {
    throw new SettingsError(
      `PILOT_IP_AUTOALLOCATE_IPV4_PREFIX or PILOT_IP_AUTOALLOCATE_IPV6_PREFIX: ${error instanceof Error ? error.message : error}`,
    );
  }
  return ranges;
}

/** Reads the switches of the filters for protocols of databases. */
function wireFilters(env: Environment): Settings['wireFilters'] {
  if (env.PILOT_ENABLE_MYSQL_FILTER === 'true')
    throw new SettingsError(
      'PILOT_ENABLE_MYSQL_FILTER: the Envoy of the proxies has no filter for the protocol of MySQL; connections to ports of it are forwarded as they are without the switch',
    );
  return [
    ...(env.PILOT_ENABLE_MONGO_FILTER === 'false' ? [] : (['Mongo'] as const)),
    ...(env.PILOT_ENABLE_REDIS_FILTER === 'true' ? (['Redis'] as const) : []),
  ];
}

/** Reads PILOT_MAX_REQUESTS_PER_SECOND. */
function connectionsPerSecond(env: Environment): number {
  const value = Number(env.PILOT_MAX_REQUESTS_PER_SECOND || '0');
  if (!Number.isFinite(value) || value < 0)
    throw new SettingsError(
      `PILOT_MAX_REQUESTS_PER_SECOND: '${env.PILOT_MAX_REQUESTS_PER_SECOND}' is not a number of streams in a second`,
    );
  return value;
}

function identitySettings(
  env: Environment,
  tokenAudiences: readonly string[],
  flag: (name: string) => string | undefined,
): IdentitySettings {
  try {
    const settings = readIdentitySettings(env, tokenAudiences);
    const files = flaggedCertificate({
      certificate: flag('tlsCertFile'),
      key: flag('tlsKeyFile'),
      root: flag('caCertFile'),
    });
    return { ...settings, ...(files && { ownCertificate: files }) };
  } catch (error) {
    if (error instanceof IdentitySettingsError) throw new SettingsError(error.message);
    throw error;
  }
}

function switchesOf(env: Environment): TrafficSwitches {
  try {
    return readTrafficSwitches(env);
  } catch (error) {
    if (error instanceof TrafficSwitchError) throw new SettingsError(error.message);
    throw error;
  }
}

/** Reads ISTIO_WATCH_NAMESPACE. */
function watchedNamespace(env: Environment): string | undefined {
  const name = env.ISTIO_WATCH_NAMESPACE?.trim() || undefined;
  if (name !== undefined && !isNamespace(name))
    throw new SettingsError(`ISTIO_WATCH_NAMESPACE: '${name}' is no name of a namespace; it takes one only`);
  return name;
}

/** Reads the settings of `pilot-discovery discovery`. Raises {@link SettingsError}. */
export function parseSettings(words: readonly string[], env: Environment): Settings {
  const flags = parseDiscoveryFlags(words);
  const { text } = flags;
  const address = (flag: string) => parseListenAddress(flag, text(flag));
  // Flags win over variables, and these over the flags' defaults.
  const textOr = (flag: string, value: string | undefined) => (flags.given(flag) ? text(flag) : value || text(flag));
  const namespace = textOr('namespace', env.POD_NAMESPACE);
  const revision = env.REVISION || 'default';
  const tokenAudiences = (env.TOKEN_AUDIENCES || 'istio-ca').split(',').map((audience) => audience.trim());
  return {
    namespace,
    revision,
    clusterId: textOr('clusterID', env.CLUSTER_ID),
    dnsDomain: text('domain'),
    trustDomain: env.TRUST_DOMAIN || 'cluster.local',
    podName: env.POD_NAME || 'istiod',
    secretNamespaces: secretNamespaces(env, namespace),
    watchedNamespace: watchedNamespace(env),
    ignoredKinds: { ignore: commaList(env.PILOT_IGNORE_RESOURCES), include: commaList(env.PILOT_INCLUDE_RESOURCES) },
    signsCertificates: env.ENABLE_CA_SERVER !== 'false',
    debugNamespaces: [...new Set([namespace, ...commaList(env.DEBUG_ENDPOINT_AUTH_ALLOWED_NAMESPACES)])],
    grpc: address('grpcAddr'),
    secureGrpc: address('secureGRPCAddr'),
    http: address('httpAddr'),
    https: address('httpsAddr'),
    monitoring: address('monitoringAddr'),
    controlZ: {
      host: text('ctrlz_address'),
      port: parseListenAddress('ctrlz_port', text('ctrlz_port')).port,
    },
    tokenKeys: tokenKeySettings(env),
    kubeconfig: text('kubeconfig') || undefined,
    logLevels: text('log_output_level'),
    stackTraceLevels: text('log_stacktrace_level'),
    logCallers: text('log_caller').split(',').filter(Boolean),
    logAsJson: flags.boolean('log_as_json'),
    shutdownMs: durationMs('shutdownDuration', text('shutdownDuration')),
    keepaliveMs: durationMs('keepaliveInterval', text('keepaliveInterval')),
    tokenAudiences,
    identity: identitySettings(env, tokenAudiences, text),
    connectionsPerSecond: connectionsPerSecond(env),
    checkIdentity: env.PILOT_ENABLE_XDS_IDENTITY_CHECK !== 'false',
    injectionWebhookName: env.INJECTION_WEBHOOK_CONFIG_NAME || 'istio-sidecar-injector',
    validationWebhookName:
      env.VALIDATION_WEBHOOK_CONFIG_NAME ||
      `istio-validator${revision === 'default' ? '' : `-${revision}`}-${namespace}`,
    meshConfigMapName: env.SHARED_MESH_CONFIG || (revision === 'default' ? 'istio' : `istio-${revision}`),
    injectorConfigMapName: revision === 'default' ? 'istio-sidecar-injector' : `istio-sidecar-injector-${revision}`,
    untaint:
      env.PILOT_ENABLE_NODE_UNTAINT_CONTROLLERS === 'true'
        ? {
            namespace: text('cniNamespace'),
            taint: env.PILOT_NODE_UNTAINT_CONTROLLERS_TAINT_NAME || 'cni.istio.io/not-ready',
          }
        : undefined,
    gatewaysSelectOwnNamespaceOnly: env.PILOT_SCOPE_GATEWAY_TO_NAMESPACE === 'true',
    forbidsForeignHosts: env.ISTIO_TS_FORBID_FOREIGN_HOSTS === 'true',
    http10: env.PILOT_HTTP10 === 'true' || env.PILOT_HTTP10 === '1',
    wireFilters: wireFilters(env),
    switches: switchesOf(env),
    entriesSelectPods: env.PILOT_ENABLE_SERVICEENTRY_SELECT_PODS !== 'false',
    servicesSelectEntries: env.PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES !== 'false',
    quicListeners: env.PILOT_ENABLE_QUIC_LISTENERS === 'true',
    resolveGatewayNames: env.RESOLVE_HOSTNAME_GATEWAYS !== 'false',
    ingressNamespace: env.K8S_INGRESS_NS || namespace,
    nativeSidecars: nativeSidecarSetting(env.ENABLE_NATIVE_SIDECARS),
    autoAddresses: autoAddresses(env),
    authority: authoritySettings(env),
    envoyFilterStats: env.PILOT_ENVOY_FILTER_STATS === 'true',
    analysis: analysis(env),
    workloadEntries: {
      register: env.PILOT_ENABLE_WORKLOAD_ENTRY_AUTOREGISTRATION !== 'false',
      healthChecks: env.PILOT_ENABLE_WORKLOAD_ENTRY_HEALTHCHECKS !== 'false',
      graceMs: durationMs('PILOT_WORKLOAD_ENTRY_GRACE_PERIOD', env.PILOT_WORKLOAD_ENTRY_GRACE_PERIOD || '10s'),
    },
  };
}
