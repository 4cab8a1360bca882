import { isIP } from 'node:net';
import { join } from 'node:path';
import { asObject, textField } from './json.ts';
import type { Json } from './json.ts';
import { parsePodInfo } from './pod-info.ts';
import { readProxyConfig } from './proxy-config.ts';
import type { ProxyConfig } from './proxy-config.ts';
import { parseDuration } from './duration.ts';
import type { ClientTls } from '@istio-ts/security/client-tls';

/** Thrown when a variable or file cannot be understood; says which. */
export class EnvironmentError extends Error {
  constructor(name: string, message: string) {
    super(`${name}: ${message}`);
    this.name = 'EnvironmentError';
  }
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What `pilot-agent proxy` is given, beside its flags: variables and the contents of files that the pod mounts. */
export interface AgentInputs {
  readonly env: Environment;
  /** `./etc/istio/pod/labels` */
  readonly podLabels?: string;
  /** `./etc/istio/pod/annotations` */
  readonly podAnnotations?: string;
  /** `./etc/istio/config/mesh`, already decoded from YAML. */
  readonly meshConfig?: Json;
  /** Addresses of this machine's interfaces, loopback left out, used when INSTANCE_IP is not set. */
  readonly interfaceAddresses: readonly string[];
  readonly hostName: string;
  /** Whether Envoy may listen on ports below 1024; undefined: not known, so that it may. */
  readonly privilegedPorts?: boolean;
  /** Decodes YAML; only called when a text is no JSON. */
  readonly parseYaml: (text: string) => Json;
}

export interface ProxyFlags {
  readonly role: 'sidecar' | 'router' | 'waypoint';
  readonly domain?: string;
  readonly serviceCluster?: string;
  readonly proxyLogLevel: string;
  readonly proxyComponentLogLevel?: string;
  readonly concurrency?: number;
  readonly outlierLogPath?: string;
  readonly templateFile?: string;
}

/** Everything the agent decides by, decoded and with defaults: the only source of settings after start. */
export interface AgentSettings {
  readonly flags: ProxyFlags;
  readonly podName: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly hostIp: string;
  readonly nodeName: string;
  /** First one is the address by which the control plane knows the pod. */
  readonly instanceIps: readonly string[];
  readonly domain: string;
  readonly clusterId: string;
  readonly trustDomain: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly proxyConfig: ProxyConfig;
  /** Metadata from `ISTIO_META_*` and `ISTIO_METAJSON_*`. */
  readonly metadata: Readonly<Record<string, Json>>;
  readonly certificates: CertificateSettings;
  readonly ports: {
    readonly status: number;
    readonly envoyStatus: number;
    readonly envoyPrometheus: number;
    readonly admin: number;
  };
  readonly drain: {
    /** Milliseconds that connections get at termination. */
    readonly terminationMs: number;
    readonly exitOnZeroActiveConnections: boolean;
    readonly minimumMs: number;
  };
  readonly dnsCapture: boolean;
  readonly dnsProxy: {
    /** The agent answers DNS: because queries are captured, or because it is to serve names to others. */
    readonly enabled: boolean;
    readonly addresses: readonly string[];
    readonly port: number;
    /** Milliseconds that a name server has. */
    readonly forwardTimeoutMs: number;
    /** All name servers are asked at once. */
    readonly forwardParallel: boolean;
  };
  readonly appProbers: string;
  readonly prometheusAnnotations: string;
  readonly envoyBinary: string;
  readonly envoyDisabled: boolean;
  /** For applications whose gRPC library speaks xDS itself; only served without Envoy. */
  readonly grpc: { readonly bootstrapFile: string; readonly socketFile: string };
  readonly skipDeprecatedLogs: boolean;
  /** Probes go to 127.0.0.1 instead of the pod's address. */
  readonly probeLoopback: boolean;
  readonly deltaXds: boolean;
  /** Name the control plane's certificate must carry. */
  readonly discoverySan: string;
  readonly xdsRootCa: string;
  readonly bootstrapOverride: string;
  /** Whether the bootstrap is asked for additions that EnvoyFilters have for it (BOOTSTRAP_XDS_AGENT). */
  readonly bootstrapFromControlPlane: boolean;
  /** Registries of modules that are spoken to without TLS (WASM_INSECURE_REGISTRIES): hosts, or * for all. */
  readonly insecureRegistries: readonly string[];
}

export interface CertificateSettings {
  readonly caAddress: string;
  /** PEM file with the CA's root, for the connection to the CA; `SYSTEM` for the machine's. */
  readonly caRootFile: string;
  /** How to speak to the CA where the mesh configuration says so (MeshConfig `ca` with istiodSide: false); `caRootFile` says nothing then. */
  readonly caTls: ClientTls | undefined;
  /** How long the CA may take. */
  readonly caTimeoutMs: number;
  readonly tokenFile: string;
  /** No CA at all: key and certificates are files. */
  readonly fileMounted: boolean;
  readonly provisionedCertDirectory: string;
  readonly outputDirectory: string;
  readonly ttlMs: number;
  readonly graceRatio: number;
  readonly graceJitter: number;
  readonly keyAlgorithm:
    | { readonly kind: 'ecdsa'; readonly curve: 'P-256' | 'P-384' }
    | { readonly kind: 'rsa'; readonly bits: number };
  readonly pkcs8: boolean;
  readonly certSigner: string;
  /** Where Envoy gets secrets, unless another program serves them there. */
  readonly socketFile: string;
  /** Whether the name of that socket was chosen: then another program has to serve it. */
  readonly foreignSocket: boolean;
  readonly fileDebounceMs: number;
}

const WORKLOAD_SOCKET_DIRECTORY = './var/run/secrets/workload-spiffe-uds';

/** Decodes the agent's surroundings. Raises {@link EnvironmentError}, PodInfoError or DurationError. */
export function readSettings(flags: ProxyFlags, inputs: AgentInputs): AgentSettings {
  const { env } = inputs;
  const text = (name: string, fallback = ''): string => env[name] || fallback;
  const flag = (name: string, fallback = false): boolean => {
    const value = env[name];
    if (value === undefined || value === '') return fallback;
    if (!/^(true|false|1|0|t|f)$/i.test(value))
      throw new EnvironmentError(name, `"${value}" is neither true nor false`);
    return /^(true|1|t)$/i.test(value);
  };
  const number = (name: string, fallback: number): number => {
    const value = env[name];
    if (value === undefined || value === '') return fallback;
    const parsed = Number(value);
    if (!Number.isFinite(parsed)) throw new EnvironmentError(name, `"${value}" is not a number`);
    return parsed;
  };

  const given = readMetadata(env);
  // Told by nobody: a listener that Envoy cannot open would keep the whole proxy from getting ready.
  const metadata: Readonly<Record<string, Json>> =
    inputs.privilegedPorts === false && given.UNPRIVILEGED_POD === undefined
      ? { ...given, UNPRIVILEGED_POD: 'true' }
      : given;
  const annotations = inputs.podAnnotations === undefined ? {} : parsePodInfo(inputs.podAnnotations);
  const labels = {
    ...textValues(metadata.LABELS),
    ...(inputs.podLabels === undefined ? {} : parsePodInfo(inputs.podLabels)),
  };
  const document = (name: string, source: string | undefined): Json => {
    if (source === undefined || source.trim() === '') return {};
    try {
      return JSON.parse(source) as Json;
    } catch {
      // Not JSON: YAML is what people write into annotations.
    }
    try {
      return inputs.parseYaml(source);
    } catch (error) {
      throw new EnvironmentError(
        name,
        `neither JSON nor YAML: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  };
  const proxyConfig = readProxyConfig([
    asObject(asObject(inputs.meshConfig).defaultConfig),
    document('annotation proxy.istio.io/config', annotations['proxy.istio.io/config']),
    // Injection has laid over the annotation what wins over it: objects of the kind ProxyConfig that select the pod.
    document('PROXY_CONFIG', env.PROXY_CONFIG),
  ]);

  const podName = text('POD_NAME', inputs.hostName);
  const namespace = text('POD_NAMESPACE', 'default');
  const instanceIps = text('INSTANCE_IPS', text('INSTANCE_IP'))
    .split(',')
    .filter((ip) => ip !== '');
  const ips = instanceIps.length > 0 ? instanceIps : inputs.interfaceAddresses.slice(0, 2);
  const provider = text('PILOT_CERT_PROVIDER', 'istiod');
  const provisioned = text('PROV_CERT');
  const mountedRoot = flag('FILE_MOUNTED_CERTS')
    ? textField(metadata, 'TLS_CLIENT_ROOT_CERT') || './etc/certs/root-cert.pem'
    : undefined;
  const rootFile =
    provisioned !== ''
      ? join(provisioned, 'root-cert.pem')
      : mountedRoot !== undefined
        ? mountedRoot
        : provider === 'kubernetes'
          ? '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt'
          : provider === 'custom'
            ? './etc/certs/root-cert.pem'
            : './var/run/secrets/istio/root-cert.pem';
  const discoverySan = text('ISTIOD_SAN', hostOf(proxyConfig.discoveryAddress));
  const rsa =
    text('ECC_SIGNATURE_ALGORITHM') === '' &&
    env.WORKLOAD_RSA_KEY_SIZE !== undefined &&
    env.WORKLOAD_RSA_KEY_SIZE !== '';
  const curve = text('ECC_CURVE', 'P256');
  if (curve !== 'P256' && curve !== 'P384')
    throw new EnvironmentError('ECC_CURVE', `"${curve}" is neither P256 nor P384`);
  // The other CAs and identities of Istio's list are services of clouds that this agent cannot speak to.
  for (const [name, only] of [
    ['CA_PROVIDER', 'Citadel'],
    ['CREDENTIAL_FETCHER_TYPE', 'JWT'],
  ] as const)
    if (text(name, only) !== only)
      throw new EnvironmentError(name, `"${text(name)}" is not available; ${only} is the only one`);
  const ratio = number('SECRET_GRACE_PERIOD_RATIO', 0.5);
  if (ratio < 0 || ratio > 1)
    throw new EnvironmentError('SECRET_GRACE_PERIOD_RATIO', `${ratio} is not between 0 and 1`);

  return {
    flags,
    podName,
    namespace,
    serviceAccount: text('SERVICE_ACCOUNT', 'default'),
    hostIp: text('HOST_IP'),
    nodeName: text('ISTIO_META_NODE_NAME', text('NODE_NAME')),
    instanceIps: ips,
    domain: flags.domain || `${namespace}.svc.cluster.local`,
    clusterId: text('ISTIO_META_CLUSTER_ID', 'Kubernetes'),
    trustDomain: text('TRUST_DOMAIN', 'cluster.local'),
    labels,
    annotations,
    proxyConfig,
    metadata,
    certificates: {
      caAddress: text('CA_ADDR', proxyConfig.discoveryAddress),
      caRootFile: text('CA_ROOT_CA', rootFile),
      ...otherAuthority(text('ISTIO_TS_CA')),
      tokenFile:
        text('JWT_POLICY') === 'first-party-jwt'
          ? '/var/run/secrets/kubernetes.io/serviceaccount/token'
          : './var/run/secrets/tokens/istio-token',
      fileMounted: flag('FILE_MOUNTED_CERTS'),
      provisionedCertDirectory: provisioned,
      outputDirectory: text('OUTPUT_CERTS'),
      ttlMs: parseDuration(text('SECRET_TTL', '24h'), 'SECRET_TTL'),
      graceRatio: ratio,
      graceJitter: number('SECRET_GRACE_PERIOD_RATIO_JITTER', 0.01),
      keyAlgorithm: rsa
        ? { kind: 'rsa', bits: number('WORKLOAD_RSA_KEY_SIZE', 2048) }
        : { kind: 'ecdsa', curve: curve === 'P384' ? 'P-384' : 'P-256' },
      pkcs8: flag('PKCS8_KEY'),
      certSigner: text('ISTIO_META_CERT_SIGNER'),
      socketFile: `${WORKLOAD_SOCKET_DIRECTORY}/${text('WORKLOAD_IDENTITY_SOCKET_FILE', 'socket')}`,
      foreignSocket: text('WORKLOAD_IDENTITY_SOCKET_FILE', 'socket') !== 'socket',
      fileDebounceMs: parseDuration(text('FILE_DEBOUNCE_DURATION', '100ms'), 'FILE_DEBOUNCE_DURATION'),
    },
    ports: {
      status: proxyConfig.statusPort,
      envoyStatus: number('ENVOY_STATUS_PORT', 15021),
      envoyPrometheus: number('ENVOY_PROMETHEUS_PORT', 15090),
      admin: proxyConfig.proxyAdminPort,
    },
    drain: {
      terminationMs: parseDuration(
        text('TERMINATION_DRAIN_DURATION_SECONDS')
          ? `${text('TERMINATION_DRAIN_DURATION_SECONDS')}s`
          : proxyConfig.terminationDrainDuration,
        'terminationDrainDuration',
      ),
      exitOnZeroActiveConnections: flag('EXIT_ON_ZERO_ACTIVE_CONNECTIONS'),
      minimumMs: parseDuration(text('MINIMUM_DRAIN_DURATION', '5s'), 'MINIMUM_DRAIN_DURATION'),
    },
    dnsCapture: flag('ISTIO_META_DNS_CAPTURE'),
    dnsProxy: {
      enabled: flags.role !== 'waypoint' && (flag('ISTIO_META_DNS_CAPTURE') || flag('ISTIO_META_ENABLE_DNS_SERVER')),
      ...dnsProxyAddress(text('DNS_PROXY_ADDR', 'localhost:15053')),
      forwardTimeoutMs: parseDuration(text('DNS_FORWARD_TIMEOUT', '5s'), 'DNS_FORWARD_TIMEOUT'),
      forwardParallel: flag('DNS_FORWARD_PARALLEL'),
    },
    appProbers: text('ISTIO_KUBE_APP_PROBERS'),
    prometheusAnnotations: text('ISTIO_PROMETHEUS_ANNOTATIONS'),
    envoyBinary: text('ENVOY_BINARY', proxyConfig.binaryPath),
    envoyDisabled: flag('DISABLE_ENVOY'),
    grpc: {
      bootstrapFile: text('GRPC_XDS_BOOTSTRAP', './etc/istio/proxy/grpc-bootstrap.json'),
      socketFile: './etc/istio/proxy/XDS',
    },
    skipDeprecatedLogs: flag('ENVOY_SKIP_DEPRECATED_LOGS', true),
    probeLoopback: flag('REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION'),
    deltaXds: flag('ISTIO_DELTA_XDS', true),
    discoverySan,
    xdsRootCa: text('XDS_ROOT_CA', text('CA_ROOT_CA', rootFile)),
    bootstrapOverride: text('ISTIO_BOOTSTRAP_OVERRIDE'),
    bootstrapFromControlPlane: flag('BOOTSTRAP_XDS_AGENT'),
    insecureRegistries: text('WASM_INSECURE_REGISTRIES')
      .split(',')
      .map((host) => host.trim())
      .filter((host) => host !== ''),
  };
}

/** `ISTIO_META_KEY=text` gives KEY; the members of the object in `ISTIO_METAJSON_*` become keys of their own. */
function readMetadata(env: Environment): Readonly<Record<string, Json>> {
  const out: Record<string, Json> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && name.startsWith('ISTIO_META_')) out[name.slice('ISTIO_META_'.length)] = value;
  }
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || !name.startsWith('ISTIO_METAJSON_')) continue;
    let parsed: Json;
    try {
      parsed = JSON.parse(value) as Json;
    } catch {
      throw new EnvironmentError(name, 'the value is not JSON');
    }
    const key = name.slice('ISTIO_METAJSON_'.length);
    if (key === 'LABELS' || key === 'ANNOTATIONS') out[key] = asObject(parsed);
    else Object.assign(out, asObject(parsed));
  }
  return out;
}

function textValues(value: Json | undefined): Readonly<Record<string, string>> {
  const object = asObject(value);
  return Object.fromEntries(Object.keys(object).map((key) => [key, textField(object, key)]));
}

/** `localhost` stands for the loopback of both families, as Istio has it. Raises {@link EnvironmentError}. */
function dnsProxyAddress(address: string): { readonly addresses: readonly string[]; readonly port: number } {
  const host = hostOf(address);
  const port = portOf(address, 0);
  if (port === 0 || (host !== 'localhost' && isIP(host) === 0))
    throw new EnvironmentError('DNS_PROXY_ADDR', `"${address}" is no address with a port, such as localhost:15053`);
  return { addresses: host === 'localhost' ? ['127.0.0.1', '::1'] : [host], port };
}

/** Host of `host:port` or `[v6]:port`. */
export function hostOf(address: string): string {
  const end = address.lastIndexOf(':');
  return (end < 0 ? address : address.slice(0, end)).replace(/^\[|\]$/g, '');
}

export function portOf(address: string, fallback: number): number {
  const port = Number(address.slice(address.lastIndexOf(':') + 1));
  return Number.isInteger(port) && port > 0 && port < 65536 ? port : fallback;
}

const CA_TIMEOUT_MS = 10_000;

/** What the injector says of a CA that is not istiod. Raises {@link EnvironmentError}. */
function otherAuthority(text: string): Pick<CertificateSettings, 'caTls' | 'caTimeoutMs'> {
  if (text === '') return { caTls: undefined, caTimeoutMs: CA_TIMEOUT_MS };
  let said: Json;
  try {
    said = JSON.parse(text) as Json;
  } catch {
    throw new EnvironmentError('ISTIO_TS_CA', 'it is not JSON');
  }
  const settings = asObject(asObject(said).tlsSettings);
  const names = settings.subjectAltNames;
  const mode = textField(settings, 'mode');
  if (mode !== '' && mode !== 'SIMPLE' && mode !== 'MUTUAL')
    throw new EnvironmentError('ISTIO_TS_CA', `tlsSettings.mode ${mode} is none of SIMPLE and MUTUAL`);
  const timeout = textField(asObject(said), 'requestTimeout');
  return {
    caTls: {
      ...(mode !== '' && { mode }),
      clientCertificate: textField(settings, 'clientCertificate'),
      privateKey: textField(settings, 'privateKey'),
      caCertificates: textField(settings, 'caCertificates'),
      caCrl: textField(settings, 'caCrl'),
      sni: textField(settings, 'sni'),
      subjectAltNames: Array.isArray(names) ? names.map(String) : [],
      insecureSkipVerify: settings.insecureSkipVerify === true,
    },
    caTimeoutMs: timeout === '' ? CA_TIMEOUT_MS : parseDuration(timeout, 'ISTIO_TS_CA'),
  };
}
