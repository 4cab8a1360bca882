import { tryParseDuration } from '@istio-ts/api/duration';
import { type ParsedArguments, parseArguments, UsageError } from '@istio-ts/command-line/arguments';
import type { TrafficSwitches } from '@istio-ts/mesh/model';
import { type NativeSidecarSetting, parseNativeSidecars } from '@istio-ts/injector/native-sidecars';
import type { KeyFetching } from '@istio-ts/mesh';
import { type AddressRanges, wantedAddresses } from './controllers/auto-allocate.ts';
import { readTrafficSwitches, TrafficSwitchError } from './traffic-switches.ts';
import { AddressRangeError, forbiddenAddresses } from '@istio-ts/security/fetch/addresses';
import { type ChooseProxy, proxiesOf, ProxySettingError } from '@istio-ts/security/fetch/proxies';
import { type KeyAlgorithm, P256 } from '@istio-ts/security/keys';
import { type Environment, type VariableName, variables } from './environment.ts';
import { DISCOVERY_FLAGS } from './flags.ts';
import {
  type IdentitySettings,
  IdentitySettingsError,
  flaggedCertificate,
  readIdentitySettings,
} from './identity/identity-settings.ts';

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

/** How the CA works; times in milliseconds. */
export interface AuthoritySettings {
  /** ROOT_CA_DIR */
  readonly folder: string;
  /** USE_CACERTS_FOR_SELF_SIGNED_CA */
  readonly selfSignedInCacerts: boolean;
  /** CITADEL_SELF_SIGNED_CA_CERT_TTL */
  readonly rootTtlMs: number;
  /** CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL */
  readonly checkIntervalMs: number;
  /** CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE */
  readonly gracePercentile: number;
  /** CITADEL_ENABLE_JITTER_FOR_ROOT_CERT_ROTATOR */
  readonly jitter: boolean;
  /** CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE; elliptic curves where it is not set. */
  readonly algorithm: KeyAlgorithm;
  /** DEFAULT_WORKLOAD_CERT_TTL */
  readonly defaultWorkloadTtlMs: number;
  /** MAX_WORKLOAD_CERT_TTL */
  readonly maxWorkloadTtlMs: number;
  /** PILOT_CA_CERT_CONFIGMAP */
  readonly rootConfigMap: string;
  /** PILOT_CRL_CONFIGMAP; undefined without PILOT_ENABLE_CA_CRL. */
  readonly crlConfigMap: string | undefined;
  /** ENABLE_CLUSTER_TRUST_BUNDLE_API */
  readonly clusterTrustBundle: boolean;
}

/** How keys of tokens are fetched. */
export interface TokenKeySettings {
  /** PILOT_JWT_ENABLE_REMOTE_JWKS */
  readonly fetching: KeyFetching;
  /** PILOT_JWT_PUB_KEY_REFRESH_INTERVAL */
  readonly refreshMs: number;
  /** JWKS_RESOLVER_INSECURE_SKIP_VERIFY */
  readonly insecure: boolean;
  /** Addresses from which nothing is fetched: those of the node, BLOCKED_CIDRS_IN_JWKS_URIS, without ISTIO_TS_ALLOWED_CIDRS_IN_JWKS_URIS. */
  readonly forbids: (address: string) => boolean;
  /** HTTP_PROXY, HTTPS_PROXY, NO_PROXY */
  readonly proxies: ChooseProxy;
}

/** What may have a document fetched that is refused because of its address. */
export const fetchRemedy = 'ISTIO_TS_ALLOWED_CIDRS_IN_JWKS_URIS of istiod may allow it';

const keyFetchers: ReadonlyMap<string, KeyFetching> = new Map([
  ['istiod', 'istiod'],
  ['false', 'istiod'],
  ['hybrid', 'hybrid'],
  ['true', 'hybrid'],
  ['envoy', 'envoy'],
]);

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

type Env = Environment;

const isNamespace = (name: string): boolean => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name);

/** Reads ISTIO_TS_SECRET_NAMESPACES. */
function secretNamespaces(env: Env, own: string): readonly string[] | undefined {
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
  const value = tryParseDuration(text);
  if (value === undefined || value < 0) throw new SettingsError(`--${flag}: '${text}' is not a duration such as 30s`);
  return value;
}

/** Reads ENABLE_NATIVE_SIDECARS. */
function nativeSidecarSetting(value: string | undefined): NativeSidecarSetting {
  const setting = parseNativeSidecars(value);
  if (setting === undefined)
    throw new SettingsError(`ENABLE_NATIVE_SIDECARS: '${value}' is none of auto, true and false`);
  return setting;
}

/** Reads PILOT_ENABLE_ANALYSIS, PILOT_ANALYSIS_INTERVAL and PILOT_STATUS_MAX_WORKERS. */
function analysis(env: Env): Settings['analysis'] {
  if (env.PILOT_ENABLE_ANALYSIS === 'false') return undefined;
  const workers = Number(env.PILOT_STATUS_MAX_WORKERS || '100');
  if (!Number.isInteger(workers) || workers < 1)
    throw new SettingsError(`PILOT_STATUS_MAX_WORKERS: '${env.PILOT_STATUS_MAX_WORKERS}' is not a number of workers`);
  return { intervalMs: durationMs('PILOT_ANALYSIS_INTERVAL', env.PILOT_ANALYSIS_INTERVAL || '10s'), workers };
}

/** Reads PILOT_ENABLE_IP_AUTOALLOCATE and the ranges. */
function autoAddresses(env: Env): AddressRanges | undefined {
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
function wireFilters(env: Env): Settings['wireFilters'] {
  if (env.PILOT_ENABLE_MYSQL_FILTER === 'true')
    throw new SettingsError(
      'PILOT_ENABLE_MYSQL_FILTER: the Envoy of the proxies has no filter for the protocol of MySQL; connections to ports of it are forwarded as they are without the switch',
    );
  return [
    ...(env.PILOT_ENABLE_MONGO_FILTER === 'false' ? [] : (['Mongo'] as const)),
    ...(env.PILOT_ENABLE_REDIS_FILTER === 'true' ? (['Redis'] as const) : []),
  ];
}

/** Reads how keys of tokens are fetched. */
function tokenKeySettings(env: Env): TokenKeySettings {
  const mode = (env.PILOT_JWT_ENABLE_REMOTE_JWKS || 'false').toLowerCase();
  const fetching = keyFetchers.get(mode);
  if (fetching === undefined)
    throw new SettingsError(`PILOT_JWT_ENABLE_REMOTE_JWKS: '${mode}' is none of ${[...keyFetchers.keys()].join(', ')}`);
  const refreshMs = durationMs(
    'PILOT_JWT_PUB_KEY_REFRESH_INTERVAL',
    env.PILOT_JWT_PUB_KEY_REFRESH_INTERVAL || variables.PILOT_JWT_PUB_KEY_REFRESH_INTERVAL.default,
  );
  if (refreshMs < 1000) throw new SettingsError('PILOT_JWT_PUB_KEY_REFRESH_INTERVAL: the time is less than a second');
  try {
    return {
      fetching,
      refreshMs,
      insecure: env.JWKS_RESOLVER_INSECURE_SKIP_VERIFY === 'true',
      forbids: forbiddenAddresses(env.BLOCKED_CIDRS_IN_JWKS_URIS ?? '', env.ISTIO_TS_ALLOWED_CIDRS_IN_JWKS_URIS ?? ''),
      // All of it goes along, because the three are known in small letters, too.
      proxies: proxiesOf({
        ...env,
        HTTP_PROXY: env.HTTP_PROXY,
        HTTPS_PROXY: env.HTTPS_PROXY,
        NO_PROXY: env.NO_PROXY,
      }),
    };
  } catch (error) {
    if (error instanceof ProxySettingError) throw new SettingsError(error.message);
    if (!(error instanceof AddressRangeError)) throw error;
    throw new SettingsError(`BLOCKED_CIDRS_IN_JWKS_URIS or ISTIO_TS_ALLOWED_CIDRS_IN_JWKS_URIS: ${error.message}`);
  }
}

/** Reads the settings of the CA. */
function authoritySettings(env: Env): AuthoritySettings {
  const duration = (name: VariableName & keyof Env): number => {
    const ms = durationMs(name, env[name] || variables[name].default);
    if (ms === 0) throw new SettingsError(`${name}: the time must be longer than nothing`);
    return ms;
  };
  const whole = (name: VariableName & keyof Env, least: number, greatest: number): number => {
    const value = Number(env[name] || variables[name].default);
    if (!Number.isInteger(value) || value < least || value > greatest)
      throw new SettingsError(`${name}: '${env[name]}' is not a number from ${least} to ${greatest}`);
    return value;
  };
  const bits = env.CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE
    ? whole('CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE', 2048, 8192)
    : undefined;
  const defaultWorkloadTtlMs = duration('DEFAULT_WORKLOAD_CERT_TTL');
  const maxWorkloadTtlMs = duration('MAX_WORKLOAD_CERT_TTL');
  if (defaultWorkloadTtlMs > maxWorkloadTtlMs)
    throw new SettingsError('DEFAULT_WORKLOAD_CERT_TTL: the time is longer than MAX_WORKLOAD_CERT_TTL');
  return {
    folder: env.ROOT_CA_DIR || variables.ROOT_CA_DIR.default,
    selfSignedInCacerts: env.USE_CACERTS_FOR_SELF_SIGNED_CA === 'true',
    rootTtlMs: duration('CITADEL_SELF_SIGNED_CA_CERT_TTL'),
    checkIntervalMs: duration('CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL'),
    gracePercentile: whole('CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE', 1, 99),
    jitter: env.CITADEL_ENABLE_JITTER_FOR_ROOT_CERT_ROTATOR !== 'false',
    algorithm: bits === undefined ? P256 : { kind: 'rsa', bits },
    defaultWorkloadTtlMs,
    maxWorkloadTtlMs,
    rootConfigMap: env.PILOT_CA_CERT_CONFIGMAP || variables.PILOT_CA_CERT_CONFIGMAP.default,
    crlConfigMap:
      env.PILOT_ENABLE_CA_CRL === 'false'
        ? undefined
        : env.PILOT_CRL_CONFIGMAP || variables.PILOT_CRL_CONFIGMAP.default,
    clusterTrustBundle: env.ENABLE_CLUSTER_TRUST_BUNDLE_API === 'true',
  };
}

/** Reads PILOT_MAX_REQUESTS_PER_SECOND. */
function connectionsPerSecond(env: Env): number {
  const value = Number(env.PILOT_MAX_REQUESTS_PER_SECOND || '0');
  if (!Number.isFinite(value) || value < 0)
    throw new SettingsError(
      `PILOT_MAX_REQUESTS_PER_SECOND: '${env.PILOT_MAX_REQUESTS_PER_SECOND}' is not a number of streams in a second`,
    );
  return value;
}

function identitySettings(
  env: Env,
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

function switchesOf(env: Env): TrafficSwitches {
  try {
    return readTrafficSwitches(env);
  } catch (error) {
    if (error instanceof TrafficSwitchError) throw new SettingsError(error.message);
    throw error;
  }
}

const commaList = (text: string | undefined): readonly string[] =>
  (text ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean);

/** Reads ISTIO_WATCH_NAMESPACE. */
function watchedNamespace(env: Env): string | undefined {
  const name = env.ISTIO_WATCH_NAMESPACE?.trim() || undefined;
  if (name !== undefined && !isNamespace(name))
    throw new SettingsError(`ISTIO_WATCH_NAMESPACE: '${name}' is no name of a namespace; it takes one only`);
  return name;
}

/** Reads the settings of `pilot-discovery discovery`. Raises {@link SettingsError}. */
export function parseSettings(words: readonly string[], env: Env): Settings {
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
