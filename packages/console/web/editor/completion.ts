import type { CompletionContext, CompletionResult } from '@codemirror/autocomplete';

const match = [
  'uri',
  'scheme',
  'method',
  'authority',
  'headers',
  'port',
  'sourceLabels',
  'queryParams',
  'ignoreUriCase',
  'withoutHeaders',
  'sourceNamespace',
  'gateways',
  'name',
];
const texts = ['exact', 'prefix', 'regex'];
const metadata = ['name', 'namespace', 'labels', 'annotations'];
const tls = [
  'mode',
  'clientCertificate',
  'privateKey',
  'caCertificates',
  'credentialName',
  'subjectAltNames',
  'sni',
  'insecureSkipVerify',
];
const trafficPolicy = [
  'loadBalancer',
  'connectionPool',
  'outlierDetection',
  'tls',
  'portLevelSettings',
  'tunnel',
  'proxyProtocol',
];

/** Names of fields by kind and by the field that they stand in: what is written often; the check knows the rest. */
const fields: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  VirtualService: {
    spec: ['hosts', 'gateways', 'http', 'tls', 'tcp', 'exportTo'],
    http: [
      'name',
      'match',
      'route',
      'redirect',
      'directResponse',
      'delegate',
      'rewrite',
      'timeout',
      'retries',
      'fault',
      'mirror',
      'mirrors',
      'mirrorPercentage',
      'corsPolicy',
      'headers',
    ],
    match,
    uri: texts,
    method: texts,
    authority: texts,
    route: ['destination', 'weight', 'headers'],
    destination: ['host', 'subset', 'port'],
    retries: ['attempts', 'perTryTimeout', 'retryOn', 'retryRemoteLocalities', 'backoff'],
    fault: ['delay', 'abort'],
    delay: ['fixedDelay', 'percentage'],
    abort: ['httpStatus', 'grpcStatus', 'percentage'],
    percentage: ['value'],
    redirect: ['uri', 'authority', 'port', 'scheme', 'redirectCode', 'derivePort'],
    rewrite: ['uri', 'authority', 'uriRegexRewrite'],
    headers: ['request', 'response'],
    request: ['set', 'add', 'remove'],
    response: ['set', 'add', 'remove'],
  },
  DestinationRule: {
    spec: ['host', 'trafficPolicy', 'subsets', 'exportTo', 'workloadSelector'],
    trafficPolicy,
    subsets: ['name', 'labels', 'trafficPolicy'],
    loadBalancer: ['simple', 'consistentHash', 'localityLbSetting', 'warmup'],
    connectionPool: ['tcp', 'http'],
    tcp: ['maxConnections', 'connectTimeout', 'tcpKeepalive', 'maxConnectionDuration', 'idleTimeout'],
    http: [
      'http1MaxPendingRequests',
      'http2MaxRequests',
      'maxRequestsPerConnection',
      'maxRetries',
      'idleTimeout',
      'h2UpgradePolicy',
      'useClientProtocol',
    ],
    outlierDetection: [
      'consecutive5xxErrors',
      'consecutiveGatewayErrors',
      'interval',
      'baseEjectionTime',
      'maxEjectionPercent',
      'minHealthPercent',
    ],
    tls,
  },
  Gateway: {
    spec: ['selector', 'servers'],
    servers: ['port', 'hosts', 'tls', 'bind', 'name', 'defaultEndpoint'],
    port: ['number', 'name', 'protocol', 'targetPort'],
    tls: [
      'mode',
      'credentialName',
      'httpsRedirect',
      'minProtocolVersion',
      'maxProtocolVersion',
      'cipherSuites',
      'subjectAltNames',
    ],
  },
  ServiceEntry: {
    spec: [
      'hosts',
      'addresses',
      'ports',
      'location',
      'resolution',
      'endpoints',
      'workloadSelector',
      'exportTo',
      'subjectAltNames',
    ],
    ports: ['number', 'name', 'protocol', 'targetPort'],
    endpoints: ['address', 'ports', 'labels', 'network', 'locality', 'weight', 'serviceAccount'],
  },
  PeerAuthentication: { spec: ['selector', 'mtls', 'portLevelMtls'], mtls: ['mode'], selector: ['matchLabels'] },
  RequestAuthentication: {
    spec: ['selector', 'targetRefs', 'jwtRules'],
    jwtRules: [
      'issuer',
      'audiences',
      'jwksUri',
      'jwks',
      'fromHeaders',
      'fromParams',
      'outputPayloadToHeader',
      'forwardOriginalToken',
      'outputClaimToHeaders',
      'timeout',
    ],
  },
  AuthorizationPolicy: {
    spec: ['selector', 'targetRefs', 'action', 'rules', 'provider'],
    rules: ['from', 'to', 'when'],
    source: [
      'principals',
      'notPrincipals',
      'requestPrincipals',
      'namespaces',
      'notNamespaces',
      'ipBlocks',
      'remoteIpBlocks',
      'serviceAccounts',
    ],
    operation: ['hosts', 'ports', 'methods', 'paths', 'notHosts', 'notPorts', 'notMethods', 'notPaths'],
    when: ['key', 'values', 'notValues'],
  },
  Telemetry: {
    spec: ['selector', 'targetRefs', 'tracing', 'metrics', 'accessLogging'],
    tracing: ['match', 'providers', 'randomSamplingPercentage', 'disableSpanReporting', 'customTags'],
    metrics: ['providers', 'overrides', 'reportingInterval'],
    overrides: ['match', 'disabled', 'tagOverrides'],
    accessLogging: ['match', 'providers', 'disabled', 'filter'],
    filter: ['expression'],
  },
  Sidecar: {
    spec: ['workloadSelector', 'ingress', 'egress', 'outboundTrafficPolicy', 'inboundConnectionPool'],
    egress: ['port', 'bind', 'captureMode', 'hosts'],
    ingress: ['port', 'bind', 'captureMode', 'defaultEndpoint', 'tls', 'connectionPool'],
  },
};

const values: Readonly<Record<string, readonly string[]>> = {
  simple: ['UNSPECIFIED', 'LEAST_REQUEST', 'ROUND_ROBIN', 'RANDOM', 'PASSTHROUGH'],
  mode: ['STRICT', 'PERMISSIVE', 'DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'],
  protocol: ['HTTP', 'HTTPS', 'GRPC', 'HTTP2', 'TCP', 'TLS', 'MONGO'],
  action: ['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'],
  resolution: ['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN'],
  location: ['MESH_EXTERNAL', 'MESH_INTERNAL'],
};

const indentOf = (line: string) => /^[\s-]*/.exec(line)?.[0].length ?? 0;

/** The key that the line at `number` stands in: the nearest line above with a smaller indentation. */
function parentKey(lineAt: (number: number) => string, number: number): string | undefined {
  const indent = indentOf(lineAt(number));
  for (let above = number - 1; above >= 1; above -= 1) {
    const line = lineAt(above);
    const bare = /^\s*/.exec(line)?.[0].length ?? 0;
    if (line.trim() === '' || bare >= indent) continue;
    const key = /^\s*(?:- )?([\w.-]+):\s*$/.exec(line);
    if (key) return key[1];
    if (!line.trimStart().startsWith('- ')) return undefined;
  }
  return undefined;
}

/** Offers the names of fields where a key is written, and values of fields that have few. */
export function fieldCompletion(context: CompletionContext, kind: string | undefined): CompletionResult | null {
  const line = context.state.doc.lineAt(context.pos);
  const before = line.text.slice(0, context.pos - line.from);
  const value = /^[\s-]*([\w.]+):\s+(\w*)$/.exec(before);
  if (value) {
    const options = values[value[1] ?? ''];
    return options
      ? { from: context.pos - (value[2]?.length ?? 0), options: options.map((label) => ({ label, type: 'enum' })) }
      : null;
  }
  const key = /^[\s-]*(\w*)$/.exec(before);
  if (!key || (key[1] === '' && !context.explicit)) return null;
  const from = context.pos - (key[1]?.length ?? 0);
  const parent = parentKey((number) => context.state.doc.line(number).text, line.number);
  const names =
    parent === undefined
      ? ['apiVersion', 'kind', 'metadata', 'spec']
      : parent === 'metadata'
        ? metadata
        : fields[kind ?? '']?.[parent];
  return names ? { from, options: names.map((label) => ({ label, type: 'property', apply: `${label}: ` })) } : null;
}
