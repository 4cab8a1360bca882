/** Variables of Istio's agent that this one does not follow: the values by which Istio goes without them, and what is so instead. */
const unbuilt: readonly { readonly why: string; readonly names: Readonly<Record<string, string>> }[] = [
  {
    why: 'identities come from Kubernetes or from files',
    names: { CREDENTIAL_IDENTITY_PROVIDER: 'GoogleComputeEngine', XDS_AUTH_PROVIDER: '' },
  },
  {
    why: 'metrics are served in plain text to whoever reaches their port: a NetworkPolicy keeps others away',
    names: {
      ENVOY_SECURE_MERGED_METRICS_PORT: '0',
      ENVOY_SECURE_METRICS_PORT: '0',
      METRICS_LOCALHOST_ACCESS_ONLY: 'false',
    },
  },
  {
    why: 'probes of HTTP are made by HTTP/1.1 on a connection of their own',
    names: { ENABLE_PROBE_KEEPALIVE_CONNECTIONS: 'false', ISTIO_ENABLE_HTTP2_PROBING: 'true' },
  },
  {
    why: 'peers are told from their certificates and from what istiod says of endpoints',
    names: { PEER_METADATA_DISCOVERY: 'false' },
  },
  {
    why: 'ProxyConfig comes with injection',
    names: { PROXY_CONFIG_XDS_AGENT: 'false' },
  },
  {
    why: 'modules are fetched when a filter asks for them, tried again with growing pauses, and kept as long as the agent runs',
    names: {
      ISTIO_AGENT_ENABLE_WASM_REMOTE_LOAD_CONVERSION: 'true',
      WASM_HTTP_REQUEST_MAX_RETRIES: '5',
      WASM_HTTP_REQUEST_TIMEOUT: '15s',
      WASM_MODULE_EXPIRY: '24h',
      WASM_PURGE_INTERVAL: '1h',
    },
  },
  {
    why: 'fragments of paths are always cut off',
    names: { HTTP_STRIP_FRAGMENT_FROM_PATH_UNSAFE_IF_DISABLED: 'true' },
  },
  {
    why: 'no policy of that kind is known: say in the mesh configuration which versions, ciphers and curves of TLS are good',
    names: { COMPLIANCE_POLICY: '' },
  },
  {
    why: 'the bootstrap is not made of a template: ISTIO_BOOTSTRAP_OVERRIDE is laid over it',
    names: { ISTIO_BOOTSTRAP: '' },
  },
  { why: 'core dumps are as the container has them', names: { ISTIO_ENVOY_ENABLE_CORE_DUMP: 'false' } },
  {
    why: 'metrics of Envoy, agent and application are always merged',
    names: { PILOT_AGENT_MERGE_ENVOY_STATS: 'true' },
  },
  {
    why: 'Envoy speaks to the control plane itself, without a way through the agent',
    names: { PROXY_XDS_VIA_AGENT: 'false' },
  },
];

const truth: Readonly<Record<string, string>> = { '1': 'true', t: 'true', '0': 'false', f: 'false' };

/** What is to be said about variables that are set to something else than what is so anyway, one line each. */
export function unbuiltWarnings(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  return unbuilt.flatMap(({ why, names }) =>
    Object.entries(names).flatMap(([name, usual]) => {
      const value = (env[name] ?? '').trim();
      const word = value.toLowerCase();
      return value === '' || word === usual.toLowerCase() || truth[word] === usual
        ? []
        : [`${name}=${value} has no effect: ${why}`];
    }),
  );
}
