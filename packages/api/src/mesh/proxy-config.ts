import { clientTlsSettings, readinessProbe, tcpKeepalive } from '../networking/common.ts';
import { proxyImage } from '../networking/proxy-config.ts';
import {
  boolean,
  defaulted,
  duration,
  enumOf,
  int32,
  int64,
  list,
  map,
  number,
  object,
  string,
  type TypeOf,
  uint32,
} from '../schema/schema.ts';

const forwardClientCertDetails = enumOf([
  'UNDEFINED',
  'SANITIZE',
  'FORWARD_ONLY',
  'APPEND_FORWARD',
  'SANITIZE_SET',
  'ALWAYS_FORWARD_ONLY',
]);
const remoteService = object('A service of Envoy’s own protocols.', {
  address: string('host:port.'),
  tlsSettings: clientTlsSettings,
  tcpKeepalive,
});
const disabled = object('Switches a header off.', { disabled: boolean() });
const enabled = object('Switches a header on.', { enabled: boolean() });
const address = object('A tracing backend by address.', { address: string('host:port.') });
const privateKeyProvider = object('Hardware for private keys.', { pollDelay: duration(), fallback: boolean() });

const tracing = object(
  'Tracing, the older way; telemetry providers are the newer.',
  {
    zipkin: address,
    lightstep: object('Lightstep.', { address: string(), accessToken: string() }),
    datadog: address,
    stackdriver: object('Google Cloud.', {
      debug: boolean(),
      maxNumberOfAttributes: int64(),
      maxNumberOfAnnotations: int64(),
      maxNumberOfMessageEvents: int64(),
    }),
    openCensusAgent: object('An OpenCensus agent.', {
      address: string(),
      context: list(enumOf(['UNSPECIFIED', 'W3C_TRACE_CONTEXT', 'GRPC_BIN', 'CLOUD_TRACE_CONTEXT', 'B3'])),
    }),
    customTags: map(
      object(
        'A tag.',
        {
          literal: object('A fixed value.', { value: string() }),
          environment: object('From the environment.', { name: string(), defaultValue: string() }),
          header: object('From a request header.', { name: string(), defaultValue: string() }),
        },
        [['literal', 'environment', 'header']],
      ),
    ),
    maxPathTagLength: uint32(),
    sampling: number('Share of requests that are traced, in percent; default 1.', { minimum: 0, maximum: 100 }),
    tlsSettings: clientTlsSettings,
    enableIstioTags: boolean(),
  },
  [['zipkin', 'lightstep', 'datadog', 'stackdriver', 'openCensusAgent']],
);

const proxyHeaders = object('Headers that proxies add by themselves.', {
  forwardedClientCert: forwardClientCertDetails,
  setCurrentClientCertDetails: object('What x-forwarded-client-cert tells.', {
    subject: boolean(),
    cert: boolean(),
    chain: boolean(),
    dns: boolean(),
    uri: boolean(),
  }),
  requestId: disabled,
  server: object('The header server.', { disabled: boolean(), value: string() }),
  attemptCount: disabled,
  envoyDebugHeaders: disabled,
  metadataExchangeHeaders: object('Headers with peer metadata.', { mode: enumOf(['UNDEFINED', 'IN_MESH']) }),
  preserveHttp1HeaderCase: boolean(),
  xForwardedHost: enabled,
  xForwardedPort: enabled,
});

const connectionSettings = object('Limits of listeners and clusters.', {
  profile: enumOf(['SIDECAR', 'EDGE']),
  listenerPerConnectionBufferLimitBytes: int32('Bytes that a listener keeps of a connection.', { minimum: 0 }),
  clusterPerConnectionBufferLimitBytes: int32('Bytes that a cluster keeps of a connection.', { minimum: 0 }),
  httpIdleTimeout: duration(),
  httpMaxConnectionDuration: duration(),
  httpDrainTimeout: duration(),
  httpRequestTimeout: duration(),
  httpRequestHeadersTimeout: duration(),
  httpStreamIdleTimeout: duration(),
  httpMaxStreamDuration: duration(),
  httpMaxConcurrentStreams: int32('Requests at a time on a connection of HTTP/2.', { minimum: 1 }),
  http2InitialStreamWindowSize: int32('Bytes of a request before the proxy has taken any.', { minimum: 65_535 }),
  http2InitialConnectionWindowSize: int32('The same of all requests of a connection.', { minimum: 65_535 }),
  httpHeadersWithUnderscoresAction: enumOf([
    'HEADERS_WITH_UNDERSCORES_UNSPECIFIED',
    'HEADERS_WITH_UNDERSCORES_ALLOW',
    'HEADERS_WITH_UNDERSCORES_REJECT_REQUEST',
    'HEADERS_WITH_UNDERSCORES_DROP_HEADER',
  ]),
  httpMergeSlashes: boolean(),
  httpPathWithEscapedSlashesAction: enumOf([
    'PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED',
    'KEEP_UNCHANGED',
    'REJECT_REQUEST',
    'UNESCAPE_AND_REDIRECT',
    'UNESCAPE_AND_FORWARD',
  ]),
  listenerConnectionLimit: int32('Connections at a time of each filter chain of a listener.', { minimum: 1 }),
  globalDownstreamConnectionLimit: int32('Connections of clients at a time.', { minimum: 1 }),
});

/** Settings of every proxy, with Istio's defaults. A pod changes them with the annotation `proxy.istio.io/config`. */
export const proxyConfig = object(
  'Settings of proxies.',
  {
    configPath: defaulted(string('Folder of the generated bootstrap.'), './etc/istio/proxy'),
    binaryPath: defaulted(string('Envoy’s program.'), '/usr/local/bin/envoy'),
    serviceCluster: string('Name of Envoy’s cluster; default istio-proxy.'),
    tracingServiceName: enumOf(['APP_LABEL_AND_NAMESPACE', 'CANONICAL_NAME_ONLY', 'CANONICAL_NAME_AND_NAMESPACE']),
    drainDuration: defaulted(duration('Time for connections to drain when listeners change.'), '45s'),
    discoveryAddress: defaulted(string('Address of the control plane.'), 'istiod.istio-system.svc:15012'),
    discoveryRefreshDelay: duration('Not used: configuration is pushed.'),
    zipkinAddress: string(),
    statsdUdpAddress: string(),
    envoyMetricsServiceAddress: string(),
    proxyAdminPort: defaulted(int32('Port of Envoy’s admin interface.'), 15000),
    availabilityZone: string('Not used: the locality comes from the node.'),
    controlPlaneAuthPolicy: defaulted(enumOf(['NONE', 'MUTUAL_TLS', 'INHERIT']), 'MUTUAL_TLS'),
    customConfigFile: string('A bootstrap of your own.'),
    statNameLength: defaulted(int32('Not used: names of Envoy’s statistics may have any length.'), 189),
    concurrency: int32('Worker threads; 0 uses all cores; absent: from the CPU limit.', { minimum: 0 }),
    proxyBootstrapTemplatePath: string(),
    interceptionMode: defaulted(enumOf(['REDIRECT', 'TPROXY', 'NONE']), 'REDIRECT'),
    tracing,
    sds: object('Not used.', { enabled: boolean('Not used.'), k8sSaJwtPath: string('Not used.') }),
    envoyAccessLogService: remoteService,
    envoyMetricsService: remoteService,
    proxyMetadata: defaulted(map(string(), 'Environment of the proxy.'), {}),
    runtimeValues: map(string(), 'Envoy’s runtime values.'),
    statusPort: defaulted(int32('Port of the agent’s status server.'), 15020),
    extraStatTags: list(string()),
    gatewayTopology: object('What stands before the gateways.', {
      numTrustedProxies: uint32('Number of trusted proxies.'),
      forwardClientCertDetails,
      proxyProtocol: object('Expect PROXY protocol.', {}),
    }),
    terminationDrainDuration: defaulted(duration('Time for connections to drain at the end.'), '5s'),
    meshId: string(),
    readinessProbe,
    proxyStatsMatcher: object('Which further statistics Envoy keeps.', {
      inclusionPrefixes: list(string()),
      inclusionSuffixes: list(string()),
      inclusionRegexps: list(string()),
    }),
    holdApplicationUntilProxyStarts: boolean('Start the application after the proxy.'),
    caCertificatesPem: list(string()),
    image: proxyImage,
    privateKeyProvider: object(
      'Hardware for private keys.',
      { cryptomb: privateKeyProvider, qat: privateKeyProvider },
      [['cryptomb', 'qat']],
    ),
    proxyHeaders,
    fileFlushInterval: duration(),
    fileFlushMinSizeKb: uint32(),
    statsCompression: boolean(),
    connectionSettings,
  },
  [['serviceCluster', 'tracingServiceName']],
);
/** The proxies' settings (mesh configuration `defaultConfig`, annotation `proxy.istio.io/config`), with defaults. */
export type ProxyConfig = TypeOf<typeof proxyConfig>;
