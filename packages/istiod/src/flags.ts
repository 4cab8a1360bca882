import type { FlagSpec } from '@istio-ts/command-line/arguments';

/** A flag of `pilot-discovery discovery`. */
export interface DiscoveryFlag extends FlagSpec {
  /** Known for Istio's sake: nothing depends on it. Whoever sets it to something else than the default is told so. */
  readonly withoutEffect?: true;
}

const address = (name: string, fallback: string, help: string): DiscoveryFlag => ({
  name,
  kind: 'text',
  default: fallback,
  help,
});
const ignored = (name: string, kind: FlagSpec['kind'], help: string, fallback?: string): DiscoveryFlag => ({
  name,
  kind,
  help: `${help} (has no effect)`,
  withoutEffect: true,
  ...(fallback !== undefined && { default: fallback }),
});

/** Flags of `pilot-discovery discovery`; names, short forms and defaults are Istio's (cli.md, pilot-discovery). */
export const DISCOVERY_FLAGS: readonly DiscoveryFlag[] = [
  { name: 'caCertFile', kind: 'text', help: 'File with the root that the certificate of tlsCertFile leads to' },
  ignored('clusterAliases', 'list', 'Other names of clusters'),
  { name: 'clusterID', kind: 'text', default: 'Kubernetes', help: 'Name of this cluster (also CLUSTER_ID)' },
  ignored('clusterRegistriesNamespace', 'text', 'Namespace of the Secrets of other clusters', 'istio-system'),
  { name: 'cniNamespace', kind: 'text', default: 'istio-system', help: 'Namespace of the CNI agents' },
  ignored('configDir', 'text', 'Folder with configuration instead of the cluster'),
  address('ctrlz_address', 'localhost', 'Address that ControlZ listens on'),
  { name: 'ctrlz_port', kind: 'integer', default: '9876', help: 'Port that ControlZ listens on' },
  { name: 'domain', kind: 'text', default: 'cluster.local', help: 'DNS domain of the cluster' },
  address('grpcAddr', ':15010', 'Address for xDS without TLS'),
  address('httpAddr', ':8080', 'Address for readiness and debug pages'),
  address('httpsAddr', ':15017', 'Address for webhooks'),
  {
    name: 'keepaliveInterval',
    kind: 'text',
    default: '30s',
    help: 'Time without traffic after which a stream is checked',
  },
  ignored('keepaliveMaxServerConnectionAge', 'text', 'Age at which streams are ended', '2562047h47m16.854775807s'),
  ignored('keepaliveTimeout', 'text', 'Time that an answer to such a check may take', '10s'),
  { name: 'kubeconfig', kind: 'text', help: 'Kubernetes configuration file instead of that of the pod' },
  ignored('kubernetesApiBurst', 'integer', 'Burst of requests to the API server', '160'),
  ignored('kubernetesApiQPS', 'text', 'Requests per second to the API server', '80'),
  { name: 'log_as_json', kind: 'boolean', help: 'Write log lines as JSON' },
  { name: 'log_caller', kind: 'text', help: 'Scopes whose lines tell where in the code they come from' },
  {
    name: 'log_output_level',
    kind: 'text',
    default: 'default:info',
    help: 'How much to log, by scope: default:info,ads:debug',
  },
  {
    name: 'log_stacktrace_level',
    kind: 'text',
    default: 'default:none',
    help: 'From which level on lines have a stack trace, by scope',
  },
  ignored('log_target', 'list', 'Where the log goes: always standard output', 'stdout'),
  ignored(
    'meshConfig',
    'text',
    'File with the mesh configuration: it is read from the ConfigMap',
    './etc/istio/config/mesh',
  ),
  address('monitoringAddr', ':15014', 'Address for metrics and the version'),
  {
    name: 'namespace',
    short: 'n',
    kind: 'text',
    default: 'istio-system',
    help: 'Namespace of istiod (also POD_NAMESPACE)',
  },
  ignored('networksConfig', 'text', 'File with the networks of the mesh', './etc/istio/config/meshNetworks'),
  ignored('profile', 'boolean', 'Offer profiles of the process', 'true'),
  ignored('registries', 'list', 'Where services come from: always Kubernetes', 'Kubernetes'),
  address('secureGRPCAddr', ':15012', 'Address for xDS with TLS'),
  { name: 'shutdownDuration', kind: 'text', default: '10s', help: 'Time that requests under way get at the end' },
  ignored('tls-cipher-suites', 'list', 'Cipher suites of the TLS servers'),
  ignored('tls-min-version', 'text', 'Least TLS version of the servers', '1.2'),
  { name: 'tlsCertFile', kind: 'text', help: "File with istiod's certificate" },
  { name: 'tlsKeyFile', kind: 'text', help: "File with the key of istiod's certificate" },
  ignored('vklog', 'text', 'Level of the log of the Kubernetes client'),
];

// The chart sets this on every istiod: nobody who sees the remark could do anything about it.
const setByChart = new Set(['keepaliveMaxServerConnectionAge']);

/** Flags that were set although they have no effect; for people. */
export function withoutEffect(given: (name: string) => boolean): readonly string[] {
  return DISCOVERY_FLAGS.filter(
    ({ name, withoutEffect: ignoredFlag }) => ignoredFlag && given(name) && !setByChart.has(name),
  ).map(({ name }) => name);
}
