import { celRule, filled, set } from '../schema/cel.ts';
import {
  as,
  boolean,
  duration,
  enumOf,
  int32,
  list,
  map,
  number,
  object,
  regex,
  required,
  string,
  type TypeOf,
  uint32,
  withCel,
} from '../schema/schema.ts';

const portRange = { minimum: 1, maximum: 65535 };

/** Selects workloads by labels (networking kinds: `labels`). */
export const workloadLabelSelector = object('Selects workloads by their labels; absent: all of the namespace.', {
  labels: map(string(), 'Labels that a workload must carry, all of them.', { maxProperties: 256 }),
});

/** Selects workloads by labels (security, telemetry and extension kinds: `matchLabels`). */
export const workloadSelector = object('Selects workloads by their labels; absent: all of the namespace.', {
  matchLabels: map(string(), 'Labels that a workload must carry, all of them.', { maxProperties: 4096 }),
});
export type WorkloadSelector = TypeOf<typeof workloadSelector>;

/** A Gateway, Service or ServiceEntry that a policy attaches to. */
export const policyTargetReference = object('An object that this policy is attached to.', {
  group: string('API group of the target; empty for the core group.', { maxLength: 253 }),
  kind: required(string('Kind of the target.', { minLength: 1, maxLength: 63 })),
  name: required(string('Name of the target.', { minLength: 1, maxLength: 253 })),
  namespace: string('Must be empty or the namespace of the policy.'),
});
export type PolicyTargetReference = TypeOf<typeof policyTargetReference>;

export const targetRefs = list(policyTargetReference, 'Objects that this policy is attached to.', { maxItems: 16 });

/** A port by number. */
export const portSelector = object('A port, by number.', {
  number: uint32('Port number, 1 to 65535.', portRange),
});

/** A port by number, in policies that take a list of them. */
export const policyPortSelector = object('A port, by number.', {
  number: required(uint32('Port number, 1 to 65535.', portRange)),
});

export const percent = object('A share in percent.', {
  value: number('From 0 to 100, with decimals.', { minimum: 0, maximum: 100 }),
});

export const stringMatch = object(
  'Compares a text; exactly one way.',
  {
    exact: string('The whole text equals this.'),
    prefix: string('The text starts with this.'),
    regex: regex('The whole text matches this RE2 expression.'),
  },
  [['exact', 'prefix', 'regex']],
);
export type StringMatch = TypeOf<typeof stringMatch>;

/** A service as a destination of traffic. */
export const destination = object('A service, and a subset and port of it.', {
  host: required(string('Name of the service; a short name is in the namespace of this object.', { minLength: 1 })),
  subset: string('Name of a subset of the service, as a DestinationRule defines it.'),
  port: as(portSelector, 'Port of the service; needed when it has several.'),
});
export type Destination = TypeOf<typeof destination>;

export const outboundTrafficPolicy = object('What happens to traffic to unknown services.', {
  mode: enumOf(
    ['REGISTRY_ONLY', 'ALLOW_ANY'],
    'REGISTRY_ONLY drops traffic to services that nobody has registered; ALLOW_ANY lets it pass.',
  ),
  egressProxy: as(destination, 'Service to which traffic to unknown hosts is sent instead.'),
});

export const tcpKeepalive = object('TCP keep-alive probes.', {
  probes: uint32('Probes without an answer before the connection counts as dead.'),
  time: duration('Idle time before the first probe.'),
  interval: duration('Time between probes.'),
});

export const tcpSettings = object('Limits for TCP connections.', {
  maxConnections: int32('Most connections to a host; default 2^32-1.'),
  connectTimeout: duration('Time to establish a connection; default 10s.'),
  tcpKeepalive,
  maxConnectionDuration: duration('Longest life of a connection.'),
  idleTimeout: duration('Idle time after which a connection is closed; default 1h, 0s for never.'),
});

export const httpSettings = withCel(
  object('Limits for HTTP requests and connections.', {
    http1MaxPendingRequests: int32('Most requests that wait for a connection; default 2^32-1.'),
    http2MaxRequests: int32('Most requests in progress; default 2^32-1.'),
    maxRequestsPerConnection: int32('Requests after which a connection is closed; 1 disables keep-alive.'),
    maxRetries: int32('Most retries in progress; default 2^32-1.'),
    idleTimeout: duration('Idle time after which an upstream connection is closed; default 1h.'),
    h2UpgradePolicy: enumOf(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'], 'Whether HTTP/1.1 becomes HTTP/2 upstream.'),
    useClientProtocol: boolean('Keep the protocol that the client used.'),
    maxConcurrentStreams: int32('Most streams on one HTTP/2 connection.'),
    http2KeepAlive: object('HTTP/2 PING frames that detect dead connections.', {
      interval: duration('Time between PINGs.'),
      timeout: duration('Time to wait for an answer.'),
    }),
  }),
  celRule(
    "!(has(self.useClientProtocol) && self.useClientProtocol && has(self.h2UpgradePolicy) && self.h2UpgradePolicy == 'UPGRADE')",
    'useClientProtocol must not be true together with h2UpgradePolicy UPGRADE',
  ),
);

export const connectionPoolSettings = withCel(
  object('Limits for connections to a service.', {
    tcp: tcpSettings,
    http: httpSettings,
  }),
  celRule(`${set('tcp')} || ${set('http')}`, 'needs tcp or http'),
);
export type ConnectionPoolSettings = TypeOf<typeof connectionPoolSettings>;

export const outlierDetection = object('Ejects hosts that fail from load balancing for a while.', {
  consecutiveErrors: int32('Deprecated: use consecutive5xxErrors or consecutiveGatewayErrors.'),
  splitExternalLocalOriginErrors: boolean('Count failures to connect apart from answers of the host.'),
  consecutiveLocalOriginFailures: uint32('Failures to connect in a row that eject a host; default 5.'),
  consecutiveGatewayErrors: uint32('Answers 502, 503 or 504 in a row that eject a host; 0 disables.'),
  consecutive5xxErrors: uint32('Answers 5xx in a row that eject a host; default 5, 0 disables.'),
  interval: duration('Time between checks; default 10s.'),
  baseEjectionTime: duration('Shortest ejection, multiplied by the number of ejections; default 30s.'),
  maxEjectionPercent: int32('Most hosts ejected at once, in percent; default 10.'),
  minHealthPercent: int32('Share of healthy hosts, in percent, below which ejection stops; default 0.'),
  outlierDetectionHttpErrorCodes: list(uint32(), 'Status codes that count as errors instead of all 5xx.'),
});

export const clientTlsSettings = withCel(
  object('How a client uses TLS towards a service.', {
    mode: enumOf(
      ['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'],
      'DISABLE: no TLS; SIMPLE: server certificate only; MUTUAL: with a client certificate given here; ISTIO_MUTUAL: with the workload’s own.',
    ),
    clientCertificate: string('File of the client certificate (MUTUAL).'),
    privateKey: string('File of the client key (MUTUAL).'),
    caCertificates: string('File of the certificate authorities that verify the server.'),
    credentialName: string('Secret with the client certificate, key and authorities.'),
    subjectAltNames: list(string(), 'Names of which the server certificate must have one.'),
    sni: string('Server name sent in the TLS handshake.'),
    insecureSkipVerify: boolean('Do not verify the server certificate.'),
    caCrl: string('File of a certificate revocation list.'),
  }),
  celRule(
    `!has(self.mode) || self.mode != 'MUTUAL' || ${filled('credentialName')} || (${filled('clientCertificate')} && ${filled('privateKey')})`,
    'MUTUAL needs credentialName, or clientCertificate and privateKey',
  ),
  celRule(
    `!has(self.mode) || self.mode == 'DISABLE' || !${filled('credentialName')} || !(${filled('clientCertificate')} || ${filled('privateKey')} || ${filled('caCertificates')})`,
    'credentialName cannot stand together with certificate files',
  ),
  celRule(
    `!has(self.mode) || self.mode != 'ISTIO_MUTUAL' || !(${filled('credentialName')} || ${filled('clientCertificate')} || ${filled('privateKey')} || ${filled('caCertificates')})`,
    'ISTIO_MUTUAL uses the workload’s own certificate: remove the certificate files and credentialName',
  ),
  celRule(
    `!(has(self.insecureSkipVerify) && self.insecureSkipVerify) || !(${filled('caCertificates')} || ${filled('subjectAltNames')})`,
    'insecureSkipVerify cannot stand together with caCertificates or subjectAltNames',
  ),
);
export type ClientTLSSettings = TypeOf<typeof clientTlsSettings>;

export const serverTlsSettings = object('How a server uses TLS.', {
  httpsRedirect: boolean('Answer plain HTTP with 301 to HTTPS.'),
  mode: enumOf(
    ['PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL'],
    'PASSTHROUGH forwards by SNI, SIMPLE ends TLS, MUTUAL also demands a client certificate, OPTIONAL_MUTUAL asks for one, AUTO_PASSTHROUGH forwards to the service named in the SNI, ISTIO_MUTUAL uses the mesh’s certificates.',
  ),
  serverCertificate: string('File of the server certificate.'),
  privateKey: string('File of the private key.'),
  caCertificates: string('File of the authorities that verify clients.'),
  caCrl: string('File of a certificate revocation list.'),
  credentialName: string('Secret with certificate and key.'),
  credentialNames: list(string(), 'Secrets with certificates of different key types.', { maxItems: 2 }),
  caCertCredentialName: string('Secret or ConfigMap with the authorities that verify clients.'),
  tlsCertificates: list(
    object('Files of one certificate.', {
      serverCertificate: string('File of the server certificate.'),
      privateKey: string('File of the private key.'),
      caCertificates: string('File of the authorities that verify clients.'),
    }),
    'Certificates of different key types, as files.',
    { maxItems: 2 },
  ),
  subjectAltNames: list(string(), 'Names of which a client certificate must have one.'),
  verifyCertificateSpki: list(string(), 'SHA-256 of public keys of accepted client certificates, base64.'),
  verifyCertificateHash: list(string(), 'SHA-256 of accepted client certificates, hexadecimal.'),
  minProtocolVersion: enumOf(
    ['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'],
    'Lowest TLS version; default 1.2.',
  ),
  maxProtocolVersion: enumOf(['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'], 'Highest TLS version.'),
  cipherSuites: list(string(), 'Allowed cipher suites, up to TLS 1.2.'),
  insecureSkipVerify: boolean('Do not verify client certificates.'),
});
export type ServerTLSSettings = TypeOf<typeof serverTlsSettings>;

const localityFailover = object('Where traffic of a region goes when its own hosts are unhealthy.', {
  from: string('Region of the client.'),
  to: string('Region that takes over.'),
});

export const localityLbSetting = withCel(
  object('Load balancing by locality; exactly one of distribute, failover and failoverPriority.', {
    distribute: list(
      object('How the traffic of a locality is spread.', {
        from: string('Locality of the client: region/zone/subzone, * allowed.'),
        to: map(uint32(), 'Weight of each destination locality; the sum is 100.'),
      }),
      'Shares of traffic by locality.',
    ),
    failover: list(localityFailover, 'Regions that take over.'),
    failoverPriority: list(string(), 'Labels, in order, that decide how near a host is.'),
    enabled: boolean('Switches load balancing by locality on or off.'),
  }),
  celRule(
    `!${filled('distribute')} || !(${filled('failover')} || ${filled('failoverPriority')})`,
    'distribute cannot stand together with failover or failoverPriority',
  ),
);

export const zoneAwareLbSetting = object('Load balancing that prefers hosts of the own zone.', {
  enabled: boolean('Switches it on or off.'),
  failover: list(localityFailover, 'Regions that take over.'),
  failoverPriority: list(string(), 'Labels, in order, that decide how near a host is.'),
  minClusterSize: uint32('Fewest hosts for which the zone counts.'),
});

export const readinessProbe = object(
  'How the agent finds out whether the application is ready.',
  {
    initialDelaySeconds: int32('Seconds before the first probe.', { minimum: 0 }),
    timeoutSeconds: int32('Seconds for one probe.', { minimum: 0 }),
    periodSeconds: int32('Seconds between probes.', { minimum: 0 }),
    successThreshold: int32('Successes in a row that count as ready.', { minimum: 0 }),
    failureThreshold: int32('Failures in a row that count as not ready.', { minimum: 0 }),
    httpGet: object('An HTTP request.', {
      path: string('Path of the request.'),
      port: required(uint32('Port to ask.', portRange)),
      host: string('Host name or address; default the workload’s own.'),
      scheme: string('HTTP or HTTPS.'),
      httpHeaders: list(
        object('A request header.', {
          name: string('Name.', { pattern: '^[-_A-Za-z0-9]+$' }),
          value: string('Value.'),
        }),
        'Headers of the request.',
      ),
    }),
    tcpSocket: object('A TCP connection.', {
      host: string('Host name or address; default the workload’s own.'),
      port: required(uint32('Port to connect to.', portRange)),
    }),
    exec: object('A command whose exit code 0 means ready.', {
      command: required(list(string(), 'Program and arguments.', { minItems: 1 })),
    }),
    grpc: object('A call of the gRPC health service.', {
      port: uint32('Port to ask.', portRange),
      service: string('Name of the service asked about.'),
    }),
  },
  [['httpGet', 'tcpSocket', 'exec', 'grpc']],
);
export type ReadinessProbe = TypeOf<typeof readinessProbe>;
