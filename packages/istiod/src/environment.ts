import { unbuilt, unbuiltWarnings } from './unbuilt-environment.ts';

/** A variable of istiod's environment. */
export interface Variable {
  /** Value where it is not set. */
  readonly default: string;
  /** What it does. */
  readonly about: string;
}

/**
 * Every variable that `pilot-discovery` reads, with the names and defaults of Istio's. `docs/istiod-environment.md` is written from it, and settings can
 * read no other one.
 */
export const variables = {
  BLOCKED_CIDRS_IN_JWKS_URIS: {
    default: '',
    about:
      'Ranges of addresses, with commas between, from which neither keys of tokens nor trust bundles are fetched, beside those of the node and its link: loopback, link-local, metadata services of clouds.',
  },
  AUDIENCE: { default: '(TOKEN_AUDIENCES)', about: 'Audience of tokens of TOKEN_ISSUER.' },
  CA_TRUSTED_NODE_ACCOUNTS: {
    default: '',
    about:
      'Service accounts, NAMESPACE/NAME with commas between, of node proxies: they get certificates for the pods of their node.',
  },
  CERT_SIGNER_DOMAIN: {
    default: '',
    about: 'With EXTERNAL_CA: a proxy’s ISTIO_META_CERT_SIGNER names a signer of this domain.',
  },
  CITADEL_ENABLE_JITTER_FOR_ROOT_CERT_ROTATOR: {
    default: 'true',
    about: 'Whether replicas look at the self-signed root at different times.',
  },
  CITADEL_SELF_SIGNED_CA_CERT_TTL: { default: '87600h', about: 'Lifetime of a new self-signed root certificate.' },
  CITADEL_SELF_SIGNED_CA_RSA_KEY_SIZE: {
    default: '(none: ECDSA P-256)',
    about: 'Bits of the RSA key of a new self-signed root certificate.',
  },
  CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL: {
    default: '1h',
    about: 'How often it is looked whether the self-signed root certificate has to be rotated.',
  },
  CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE: {
    default: '20',
    about: 'Percentage of its lifetime before its end in which a root certificate gets a successor.',
  },
  CLUSTER_ID: { default: 'Kubernetes', about: 'Name of the cluster; the flag --clusterID comes first.' },
  DEFAULT_WORKLOAD_CERT_TTL: { default: '24h', about: 'Lifetime of certificates for which none is asked.' },
  ENABLE_CLUSTER_TRUST_BUNDLE_API: {
    default: 'false',
    about: 'Whether the root certificates are in a ClusterTrustBundle too, where the API server serves them.',
  },
  DISABLE_SHADOW_HOST_SUFFIX: {
    default: 'true',
    about: 'Whether mirrored requests keep the name of their host; else `-shadow` is put behind it.',
  },
  ENABLE_NATIVE_SIDECARS: {
    default: 'auto',
    about: 'Whether sidecars are init containers that keep running: true, false, or as the API server can.',
  },
  DEBUG_ENDPOINT_AUTH_ALLOWED_NAMESPACES: {
    default: '',
    about:
      'Namespaces, with commas between, whose identities may ask all debug questions, as those of istiod’s own may.',
  },
  ENABLE_100_CONTINUE_HEADERS: {
    default: 'true',
    about: 'Whether servers hear of `Expect: 100-continue` and answer it themselves; else proxies do.',
  },
  ENABLE_CA_SERVER: {
    default: 'true',
    about:
      'Whether istiod signs certificates of workloads; where it does not, their agents ask somebody else (CA_ADDR).',
  },
  EXTERNAL_CA: {
    default: '',
    about: 'ISTIOD_RA_KUBERNETES_API: signers of the cluster give the certificates of workloads.',
  },
  HTTP_PROXY: {
    default: '',
    about: 'Proxy (http or https) through which keys of tokens and trust bundles with plain URLs are fetched.',
  },
  HTTPS_PROXY: {
    default: '',
    about: 'The same for URLs with https: through a tunnel, so that the proxy reads and changes nothing.',
  },
  INJECTION_WEBHOOK_CONFIG_NAME: {
    default: 'istio-sidecar-injector',
    about: 'MutatingWebhookConfiguration that gets the root certificate.',
  },
  ISTIO_TS_ALLOWED_CIDRS_IN_JWKS_URIS: {
    default: '',
    about:
      'Ranges of addresses, with commas between, from which keys of tokens and trust bundles are fetched although they are blocked.',
  },
  ISTIO_TS_FORBID_FOREIGN_HOSTS: {
    default: 'false',
    about:
      'Whether a VirtualService has no effect on the proxies of other namespaces where one of its hosts is a service of a namespace that is not its own; those of the root namespace may claim any host.',
  },
  ISTIO_TS_SECRET_NAMESPACES: {
    default: '(all)',
    about:
      'Namespaces, with commas between, whose Secrets are read beside istiod’s own; the chart’s `secretNamespaces` sets it and gives the rights. Proxies elsewhere get no Secret.',
  },
  ISTIO_WATCH_NAMESPACE: {
    default: '',
    about:
      'The only namespace, beside istiod’s own, of which istiod knows services, workloads and configuration. It needs its rights as they are: it still looks at nodes and namespaces.',
  },
  JWT_RULE: {
    default: '',
    about: 'Issuer of tokens that are taken beside the API server’s: JSON with issuer, jwksUri or jwks, and audiences.',
  },
  JWKS_RESOLVER_INSECURE_SKIP_VERIFY: {
    default: 'false',
    about: 'Whether keys of tokens are fetched from servers whose certificates nobody trusts. For tests only.',
  },
  K8S_INGRESS_NS: {
    default: '(namespace of istiod)',
    about: 'Namespace of the gateway for Kubernetes Ingresses.',
  },
  K8S_SIGNER: { default: '', about: 'With EXTERNAL_CA: the signer for proxies that name none.' },
  KUBERNETES_SERVICE_HOST: {
    default: '',
    about: 'Set by Kubernetes in its pods; TOKEN_ISSUER is for istiods elsewhere.',
  },
  MAX_CONNECTIONS_PER_SOCKET_EVENT_LOOP: {
    default: '1',
    about: 'How many connections a listener accepts before other connections have their turn. 0: all that wait.',
  },
  MAX_WORKLOAD_CERT_TTL: { default: '2160h', about: 'Certificates with a longer lifetime are refused.' },
  NO_PROXY: {
    default: '',
    about:
      'Hosts that are asked without a proxy, with commas between: domains with all below them, `.domain` for those below only, addresses, ranges, `*`; as in Go. These three are also known in small letters.',
  },
  PILOT_ALLOW_ANY_DYNAMIC_DNS_MAX_HOSTS: {
    default: '1024',
    about: 'How many names a proxy remembers that it resolves when requests arrive.',
  },
  PILOT_CA_CERT_CONFIGMAP: {
    default: 'istio-ca-root-cert',
    about: 'ConfigMap with the root certificates in each namespace.',
  },
  PILOT_CRL_CONFIGMAP: {
    default: 'istio-ca-crl',
    about: 'ConfigMap with the revocation list of the plugged-in CA in each namespace.',
  },
  PILOT_ANALYSIS_INTERVAL: {
    default: '10s',
    about: 'With PILOT_ENABLE_ANALYSIS: what changes within this time is analysed at once.',
  },
  PILOT_CERT_PROVIDER: {
    default: 'istiod',
    about:
      'Who gives istiod’s servers their certificate: its own CA (istiod), files in ./var/run/secrets/istiod/tls (custom), or a signer of the cluster (k8s.io/DOMAIN/NAME).',
  },
  PILOT_ENABLE_ALPN_FILTER: {
    default: 'true',
    about: 'Whether sidecars offer Istio’s own protocol names to servers whose protocol is not declared.',
  },
  PILOT_ENABLE_CA_CRL: { default: 'true', about: 'Whether the revocation list of the plugged-in CA is distributed.' },
  PILOT_ENABLE_ANALYSIS: {
    default: 'true',
    about:
      'Whether istiod analyses the configuration after changes and writes what it finds into the status of the objects (validationMessages, condition PassedAnalysis). Istio’s default is false; here an analysis needs nothing but what istiod knows anyway.',
  },
  PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES: {
    default: 'false',
    about:
      'Whether sidecars choose among the pods of headless services of Kubernetes; else they go where the client dialled.',
  },
  PILOT_ENABLE_IP_AUTOALLOCATE: { default: 'true', about: 'Whether ServiceEntries without addresses get some.' },
  PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES: {
    default: 'true',
    about: 'Whether Services of Kubernetes select WorkloadEntries beside pods.',
  },
  PILOT_ENABLE_MONGO_FILTER: { default: 'true', about: 'Whether operations of MongoDB’s protocol are counted.' },
  PILOT_ENABLE_MYSQL_FILTER: {
    default: 'false',
    about: 'Refused when true: the proxies’ Envoy has no filter for the protocol of MySQL.',
  },
  PILOT_ENABLE_NODE_UNTAINT_CONTROLLERS: {
    default: 'false',
    about: 'Whether nodes lose their taint when their CNI agent is ready.',
  },
  PILOT_ENABLE_QUIC_LISTENERS: { default: 'false', about: 'Whether gateways speak HTTP/3.' },
  PILOT_ENABLE_REDIS_FILTER: { default: 'false', about: 'Whether the protocol of Redis has a filter.' },
  PILOT_ENABLE_SERVICEENTRY_SELECT_PODS: {
    default: 'true',
    about: 'Whether ServiceEntries select pods beside WorkloadEntries.',
  },
  PILOT_ENABLE_WORKLOAD_ENTRY_AUTOREGISTRATION: {
    default: 'true',
    about: 'Whether machines that connect with a WorkloadGroup get a WorkloadEntry.',
  },
  PILOT_ENABLE_WORKLOAD_ENTRY_HEALTHCHECKS: {
    default: 'true',
    about: 'Whether the health that agents tell of decides about WorkloadEntries.',
  },
  PILOT_ENVOY_FILTER_STATS: {
    default: 'false',
    about: 'Whether the metric pilot_envoy_filter_status tells of every patch of EnvoyFilters.',
  },
  PILOT_ENABLE_XDS_IDENTITY_CHECK: {
    default: 'true',
    about: 'Whether the identity that a proxy proves must be of the namespace and service account that it names.',
  },
  PILOT_FILTER_GATEWAY_CLUSTER_CONFIG: {
    default: 'false',
    about:
      'Whether gateways know only services that their routes, extension providers or keys of tokens lead to. What only an EnvoyFilter leads to is then missing.',
  },
  PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT: {
    default: '15s',
    about: 'How long clients of gateways may take for the TLS handshake. 0s: for ever.',
  },
  PILOT_HTTP10: { default: 'false', about: 'Whether all proxies answer HTTP/1.0.' },
  PILOT_IGNORE_RESOURCES: {
    default: '',
    about:
      'Kinds of configuration that istiod takes no notice of, with commas between: `wasmplugins.extensions.istio.io`, or `*.istio.io` for all.',
  },
  PILOT_INCLUDE_RESOURCES: {
    default: '',
    about: 'Kinds that it takes notice of although PILOT_IGNORE_RESOURCES names them.',
  },
  PILOT_IP_AUTOALLOCATE_IPV4_PREFIX: { default: '240.240.0.0/16', about: 'Range of such addresses.' },
  PILOT_IP_AUTOALLOCATE_IPV6_PREFIX: { default: '2001:2::/48', about: 'Range of such addresses.' },
  PILOT_JWT_ENABLE_REMOTE_JWKS: {
    default: 'false',
    about:
      'Who fetches keys of tokens: istiod (or false), envoy, or hybrid (or true): proxies from services of the mesh, istiod from elsewhere.',
  },
  PILOT_JWT_PUB_KEY_REFRESH_INTERVAL: { default: '20m', about: 'How often istiod fetches keys of tokens again.' },
  PILOT_MAX_REQUESTS_PER_SECOND: {
    default: '0',
    about: 'How many proxies may connect in a second; the others come again. 0: any number.',
  },
  PILOT_NODE_UNTAINT_CONTROLLERS_TAINT_NAME: { default: 'cni.istio.io/not-ready', about: 'Key of that taint.' },
  PILOT_SCOPE_GATEWAY_TO_NAMESPACE: {
    default: 'false',
    about: 'Whether a Gateway selects proxies of its own namespace only.',
  },
  PILOT_SEND_UNHEALTHY_ENDPOINTS: {
    default: 'false',
    about:
      'Whether proxies know of endpoints that are not ready; they send nothing to them, even when no other is left (so that a slow start, say, knows who is new).',
  },
  PILOT_SIDECAR_USE_REMOTE_ADDRESS: {
    default: 'false',
    about: 'Whether sidecars add the client’s address to x-forwarded-for of requests that leave.',
  },
  PILOT_STATUS_MAX_WORKERS: {
    default: '100',
    about: 'How many statuses are written at the same time after an analysis.',
  },
  PILOT_TRACE_SAMPLING: {
    default: '1.0',
    about: 'Percentage of requests that get a trace where neither the mesh configuration nor a Telemetry says it.',
  },
  PILOT_WORKLOAD_ENTRY_GRACE_PERIOD: {
    default: '10s',
    about: 'How long the WorkloadEntry of a machine stays after it has gone.',
  },
  POD_NAME: { default: 'istiod', about: 'Name of istiod’s pod; by it replicas tell themselves apart.' },
  POD_NAMESPACE: { default: 'istio-system', about: 'Namespace of istiod; the flag --namespace comes first.' },
  PREFER_DESTINATIONRULE_TLS_FOR_EXTERNAL_SERVICES: {
    default: 'true',
    about:
      'Whether the certificates of a DestinationRule with mode MUTUAL come before those that the client’s container mounts (TLS_CLIENT_*), towards services outside the mesh.',
  },
  RESOLVE_HOSTNAME_GATEWAYS: {
    default: 'true',
    about: 'Whether DNS names of gateways of networks are resolved; else such gateways are left out.',
  },
  REVISION: { default: 'default', about: 'Revision of this control plane.' },
  ROOT_CA_DIR: {
    default: './etc/cacerts',
    about: 'Folder with the files of a plugged-in CA, where there is no Secret cacerts.',
  },
  SHARED_MESH_CONFIG: {
    default: '(istio, or istio-REVISION)',
    about: 'ConfigMap with the mesh configuration.',
  },
  TOKEN_AUDIENCES: { default: 'istio-ca', about: 'Audiences of tokens that are taken, with commas between.' },
  TOKEN_ISSUER: {
    default: '',
    about: 'Outside Kubernetes: issuer whose tokens are verified by its published keys.',
  },
  TRUST_DOMAIN: { default: 'cluster.local', about: 'Trust domain of a new root certificate.' },
  USE_CACERTS_FOR_SELF_SIGNED_CA: {
    default: 'false',
    about: 'Whether the self-signed root is kept in the Secret cacerts.',
  },
  VALIDATION_WEBHOOK_CONFIG_NAME: {
    default: '(istio-validator-REVISION-NAMESPACE)',
    about: 'ValidatingWebhookConfiguration that gets the root certificate.',
  },
} as const satisfies Readonly<Record<string, Variable>>;

export type VariableName = keyof typeof variables;

/** The environment as far as it is read. */
export type Environment = Readonly<Partial<Record<VariableName, string | undefined>>>;

/** Istio's variables that have no effect, and why. */
export const withoutEffect: readonly { readonly names: readonly string[]; readonly why: string }[] = [
  {
    names: ['PILOT_DEBOUNCE_AFTER', 'PILOT_DEBOUNCE_MAX', 'PILOT_ENABLE_EDS_DEBOUNCE', 'PILOT_PUSH_THROTTLE'],
    why: 'Changes do not wait for others: the first goes out at once, and what comes while a proxy has not answered goes into its next response.',
  },
  {
    names: [
      'PILOT_ENABLE_XDS_CACHE',
      'PILOT_ENABLE_CDS_CACHE',
      'PILOT_ENABLE_RDS_CACHE',
      'PILOT_XDS_CACHE_SIZE',
      'PILOT_XDS_CACHE_STATS',
      'PILOT_XDS_CACHE_INDEX_CLEAR_INTERVAL',
    ],
    why: 'Resources are remembered by their inputs as long as somebody uses them; there is no cache to size or to switch off.',
  },
  {
    names: ['ENABLE_LAZY_SIDECAR_EVALUATION', 'PILOT_CONVERT_SIDECAR_SCOPE_CONCURRENCY', 'PILOT_UNIFIED_SIDECAR_SCOPE'],
    why: 'What proxies see is derived incrementally, and only for proxies that are connected.',
  },
  {
    names: ['ENABLE_VTPROTOBUF', 'ISTIO_KUBE_CLIENT_CONTENT_TYPE', 'MUTEX_PROFILE_FRACTION'],
    why: 'They are about Go.',
  },
];

/** What is to be said at the start about variables that are set and have no effect, one line each. */
export const environmentWarnings = (env: Readonly<Record<string, string | undefined>>): readonly string[] =>
  unbuiltWarnings(env, withoutEffect);

/** The page `docs/istiod-environment.md`. */
export function environmentPage(): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const rows = Object.entries(variables).map(
    ([name, { default: value, about }]) => `| \`${name}\` | \`${cell(value)}\` | ${cell(about)} |`,
  );
  return [
    '# Environment of istiod',
    '',
    'Written by `npm run docs` out of the declarations in `packages/istiod/src/environment.ts`. Names and, where not said otherwise, defaults are Istio’s; names that begin with `ISTIO_TS_` are our own. A variable of Istio’s that has no effect is warned about at the start of istiod where it is set to something else than what is so anyway.',
    '',
    '| variable | default | effect |',
    '|---|---|---|',
    ...rows,
    '',
    '## Without effect',
    '',
    'In brackets: what is so anyway.',
    '',
    '| variables | why |',
    '|---|---|',
    ...withoutEffect.map(({ names, why }) => `| ${names.map((name) => `\`${name}\``).join(', ')} | ${cell(why)} |`),
    ...unbuilt.map(
      ({ why, names }) =>
        `| ${Object.entries(names)
          .map(([name, usual]) => `\`${name}\`${usual === '' ? '' : ` (${usual})`}`)
          .join(', ')} | ${cell(why)} |`,
    ),
    '',
  ].join('\n');
}
