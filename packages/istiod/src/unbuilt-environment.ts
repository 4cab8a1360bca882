/** Variables of Istio's istiod that this one does not have, and what is so instead. */
interface Unbuilt {
  readonly why: string;
  /** The variables and the values by which Istio goes without them: who sets one to that is told nothing. */
  readonly names: Readonly<Record<string, string>>;
}

const SELF = { true: 'true', false: 'false' } as const;

/** Variables that istiod knows and cannot follow: one that is set to something else than the value here is warned about at the start. */
export const unbuilt: readonly Unbuilt[] = [
  {
    why: 'There is no ambient mode.',
    names: {
      AMBIENT_ENABLE_BAGGAGE: SELF.false,
      AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY: SELF.false,
      AMBIENT_ENABLE_MULTI_NETWORK: SELF.false,
      AMBIENT_ENABLE_MULTI_NETWORK_INGRESS: SELF.false,
      AMBIENT_ENABLE_MULTI_NETWORK_WAYPOINT: SELF.true,
      AMBIENT_ENABLE_STATUS: SELF.true,
      AMBIENT_SCOPED_ADDRESS_PUSHES: SELF.true,
      ENABLE_INGRESS_WAYPOINT_ROUTING: SELF.true,
      ENABLE_LAYERED_WAYPOINT_AUTHORIZATION_POLICIES: SELF.false,
      PILOT_AUTO_ALLOW_WAYPOINT_POLICY: SELF.false,
      PILOT_ENABLE_AMBIENT: SELF.false,
      PILOT_ENABLE_AMBIENT_WAYPOINTS: SELF.false,
      PILOT_ENABLE_SENDING_HBONE: SELF.false,
      PILOT_ENABLE_SIDECAR_LISTENING_HBONE: SELF.false,
      PILOT_HBONE_INITIAL_CONNECTION_WINDOW_SIZE: '0',
      PILOT_HBONE_INITIAL_STREAM_WINDOW_SIZE: '0',
      PILOT_PREFER_SENDING_HBONE: SELF.false,
    },
  },
  {
    why: 'istiod knows one cluster only.',
    names: {
      ENABLE_MCS_AUTO_EXPORT: SELF.false,
      ENABLE_MCS_CLUSTER_LOCAL: SELF.false,
      ENABLE_MCS_HOST: SELF.false,
      ENABLE_MCS_SERVICE_DISCOVERY: SELF.false,
      ENABLE_MULTICLUSTER_HEADLESS: SELF.true,
      EXTERNAL_ISTIOD: SELF.false,
      LOCAL_CLUSTER_SECRET_WATCHER: SELF.false,
      MCS_API_GROUP: 'multicluster.x-k8s.io',
      MCS_API_VERSION: 'v1alpha1',
      PILOT_ENABLE_CROSS_CLUSTER_WORKLOAD_ENTRY: SELF.true,
      PILOT_ENABLE_REMOTE_CREDENTIALS_CONTROLLER: SELF.true,
      PILOT_INSECURE_MULTICLUSTER_KUBECONFIG_OPTIONS: '',
      PILOT_MULTICLUSTER_KUBECONFIG_PATH: '',
      PILOT_REMOTE_CLUSTER_TIMEOUT: '30s',
    },
  },
  {
    why: 'Objects of the Kubernetes Gateway API are not translated.',
    names: {
      ENABLE_GATEWAY_API_INFERENCE_EXTENSION: SELF.false,
      ENABLE_GATEWAY_API_MANUAL_DEPLOYMENT: SELF.true,
      ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY: SELF.true,
      PILOT_ENABLE_AGENTGATEWAY: SELF.false,
      PILOT_ENABLE_ALPHA_GATEWAY_API: SELF.false,
      PILOT_ENABLE_GATEWAY_API: SELF.true,
      PILOT_ENABLE_GATEWAY_API_COPY_LABELS_ANNOTATIONS: SELF.true,
      PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER: SELF.true,
      PILOT_ENABLE_GATEWAY_API_GATEWAYCLASS_CONTROLLER: SELF.true,
      PILOT_ENABLE_GATEWAY_API_STATUS: SELF.true,
      PILOT_GATEWAY_API_CONTROLLER_NAME: 'istio.io/gateway-controller',
      PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME: 'istio',
      PILOT_MULTI_NETWORK_DISCOVER_GATEWAY_API: SELF.true,
    },
  },
  {
    why: 'What it would switch off is always on.',
    names: {
      ENABLE_DEBUG_ENDPOINT_AUTH: SELF.true,
      ENABLE_DEBUG_ON_HTTP: SELF.true,
      ENABLE_ENHANCED_DESTINATIONRULE_MERGE: SELF.true,
      ENABLE_LEADER_ELECTION: SELF.true,
      ENABLE_XDS_API_GENERATOR_AUTH: SELF.true,
      HTTP_STRIP_FRAGMENT_FROM_PATH_UNSAFE_IF_DISABLED: SELF.true,
      ISTIO_DELTA_XDS: SELF.true,
      ISTIO_WORKLOAD_ENTRY_VALIDATE_IDENTITY: SELF.true,
      PILOT_AGENT_MERGE_ENVOY_STATS: SELF.true,
      PILOT_ENABLE_ABSOLUTE_FQDN_VHOST_DOMAIN: SELF.true,
      PILOT_ENABLE_METADATA_EXCHANGE: SELF.true,
      PILOT_ENABLE_STRICT_GATEWAY_MERGING: SELF.true,
      PILOT_ENABLE_TELEMETRY_LABEL: SELF.true,
      PILOT_ENDPOINT_TELEMETRY_LABEL: SELF.true,
      PILOT_SIDECAR_PICK_BEST_SERVICE_NAMESPACE: SELF.true,
      XDS_AUTH: SELF.true,
    },
  },
  {
    why: 'What it would switch on is always on.',
    names: {
      ENABLE_TLS_ON_SIDECAR_INGRESS: SELF.false,
      PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS: SELF.false,
    },
  },
  {
    why: 'It is an aid of Istio’s own developers or of debugging, which this istiod does not have.',
    names: {
      ISTIO_ENABLE_CONTROLLER_QUEUE_METRICS: SELF.false,
      UNSAFE_ENABLE_ADMIN_ENDPOINTS: SELF.false,
      UNSAFE_PILOT_ENABLE_RUNTIME_ASSERTIONS: SELF.false,
    },
  },
  {
    why: 'It is a setting of one cloud’s or platform’s own services; charts take `global.platform`.',
    names: {
      CLOUD_PLATFORM: '',
      GCP_METADATA: '',
      GCP_QUOTA_PROJECT: '',
      GCP_ZONE: '',
      K_REVISION: '',
      PLATFORM: 'Default',
    },
  },
  {
    why: 'It is read by the agent, not by istiod: set it in `proxyMetadata` of the proxies.',
    names: {
      ISTIO_AGENT_ENABLE_WASM_REMOTE_LOAD_CONVERSION: SELF.true,
      ISTIO_BOOTSTRAP: '',
      ISTIO_BOOTSTRAP_OVERRIDE: '',
      ISTIO_ENVOY_ENABLE_CORE_DUMP: SELF.false,
      METRICS_LOCALHOST_ACCESS_ONLY: SELF.false,
    },
  },
  {
    why: 'The flag --keepaliveInterval says it.',
    names: { GRPC_KEEPALIVE_INTERVAL: '30s', GRPC_KEEPALIVE_TIMEOUT: '10s' },
  },
  {
    why: 'Nothing reads it.',
    names: {
      BLOCKED_CIDRS_IN_WASM_FETCH: '',
      COMPLIANCE_POLICY: '',
      DISABLE_TRACK_REMAINING_CB_METRICS: SELF.true,
      ENABLE_HCM_INTERNAL_NETWORKS: SELF.false,
      ENABLE_LOCALITY_WEIGHTED_LB_CONFIG: SELF.false,
      ENABLE_PROXY_FIND_POD_BY_IP: SELF.false,
      ENABLE_WILDCARD_HOST_SERVICE_ENTRIES_FOR_TLS: SELF.false,
      ENVOY_STATUS_PORT_ENABLE_PROXY_PROTOCOL: SELF.false,
      INJECT_ENABLED: SELF.true,
      ISTIOD_CUSTOM_HOST: '',
      ISTIO_DUAL_STACK: SELF.false,
      ISTIO_ENABLE_IPV4_OUTBOUND_LISTENER_FOR_IPV6_CLUSTERS: SELF.false,
      ISTIO_GPRC_MAXRECVMSGSIZE: '4194304',
      ISTIO_GPRC_MAXSTREAMS: '100000',
      ISTIO_MULTIROOT_MESH: SELF.false,
      ISTIO_WASM_MAX_BINARY_SIZE_BYTES: '268435456',
      LABEL_CANONICAL_SERVICES_FOR_MESH_EXTERNAL_SERVICE_ENTRIES: SELF.false,
      PILOT_ALLOW_SIDECAR_SERVICE_INBOUND_LISTENER_MERGE: SELF.false,
      PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS: SELF.true,
      PILOT_DISABLE_MX_ALPN: SELF.false,
      PILOT_DNS_CARES_UDP_MAX_QUERIES: '100',
      PILOT_DNS_JITTER_DURATION: '100ms',
      PILOT_DRAINING_LABEL: 'istio.io/draining',
      PILOT_ENABLE_HEADLESS_FILTER_CHAIN_LISTENER: SELF.false,
      PILOT_ENABLE_PERSISTENT_SESSION_FILTER: SELF.false,
      PILOT_ENABLE_ROUTE_COLLAPSE_OPTIMIZATION: SELF.true,
      PILOT_MX_ADDITIONAL_LABELS: '',
      PILOT_PERSISTENT_SESSION_HEADER_LABEL: 'istio.io/persistent-session-header',
      PILOT_PERSISTENT_SESSION_LABEL: 'istio.io/persistent-session',
      PILOT_SKIP_VALIDATE_TRUST_DOMAIN: SELF.false,
      TRUSTED_GATEWAY_CIDR: '',
      USE_REMOTE_CERTS: SELF.false,
      XDS_AUTH_PLAINTEXT: SELF.false,
    },
  },
];

// Charts set it to what they were told, which was for themselves.
const setByChart: ReadonlySet<string> = new Set(['PLATFORM']);

/** Warnings about variables that are set and that nothing depends on, one line each. */
export function unbuiltWarnings(
  env: Readonly<Record<string, string | undefined>>,
  withoutEffect: readonly { readonly names: readonly string[]; readonly why: string }[],
): readonly string[] {
  const given = (name: string): boolean => env[name] !== undefined && env[name] !== '';
  return [
    ...unbuilt.flatMap(({ why, names }) =>
      Object.entries(names)
        .filter(([name, usual]) => given(name) && !setByChart.has(name) && !isSame(env[name] ?? '', usual))
        .map(([name]) => ({ name, why })),
    ),
    ...withoutEffect.flatMap(({ names, why }) => names.filter(given).map((name) => ({ name, why }))),
  ].map(({ name, why }) => `${name}=${env[name]} has no effect: ${why}`);
}

const truth: Readonly<Record<string, string>> = { '1': 'true', t: 'true', '0': 'false', f: 'false' };

/** Whether a value means the usual one: truth and falsehood are written in several ways. */
function isSame(value: string, usual: string): boolean {
  const word = value.trim().toLowerCase();
  return word === usual.toLowerCase() || truth[word] === usual;
}
