import {
  boolean,
  duration,
  enumOf,
  int32,
  int64,
  list,
  map,
  object,
  required,
  string,
  struct,
  type TypeOf,
  uint32,
} from '../schema/schema.ts';

const service = required(string('Service, as HOST or NAMESPACE/HOST.'));
const port = required(uint32('Port of the service.'));
const maxTagLength = uint32('Longest value of a path tag; default 256.');
const strings = (description: string) => list(string(), description);

const requestBody = object('How much of the body is sent along.', {
  maxRequestBytes: uint32('Most bytes.'),
  allowPartialMessage: boolean('Send the first part of a longer body.'),
  packAsBytes: boolean('As bytes, for bodies that are not UTF-8.'),
});

const header = object(
  'A header.',
  { name: required(string('Name.')), value: string('Value.'), envName: string('Environment variable with the value.') },
  [['value', 'envName']],
);

const httpService = object('An HTTP endpoint.', {
  path: string('Path.'),
  timeout: duration('Time for a request.'),
  headers: list(header, 'Headers.'),
});

const traceContext = enumOf(['UNSPECIFIED', 'W3C_TRACE_CONTEXT', 'GRPC_BIN', 'CLOUD_TRACE_CONTEXT', 'B3']);

/** A service or sink that telemetry and policies refer to by name. */
export const extensionProvider = object(
  'An extension that policies and telemetry refer to by name.',
  {
    name: required(string('Unique name.')),
    envoyExtAuthzHttp: object('External authorization over HTTP.', {
      service,
      port,
      timeout: duration('Time for a check; default 600s.'),
      pathPrefix: string('Put before the path of the check.'),
      failOpen: boolean('Allow requests when the service fails.'),
      clearRouteCache: boolean('Choose the route again after the check.'),
      statusOnError: string('HTTP status when the service fails; default 403.'),
      includeHeadersInCheck: strings('Deprecated: use includeRequestHeadersInCheck.'),
      includeRequestHeadersInCheck: strings('Request headers sent along; * at the start or end is allowed.'),
      includeAdditionalHeadersInCheck: map(string(), 'Fixed headers sent along.'),
      includeRequestBodyInCheck: requestBody,
      headersToUpstreamOnAllow: strings('Headers of the answer that go upstream when allowed.'),
      headersToDownstreamOnDeny: strings('Headers of the answer that go back when denied.'),
      headersToDownstreamOnAllow: strings('Headers of the answer that go back when allowed.'),
    }),
    envoyExtAuthzGrpc: object('External authorization over gRPC.', {
      service,
      port,
      timeout: duration('Time for a check; default 600s.'),
      failOpen: boolean('Allow requests when the service fails.'),
      clearRouteCache: boolean('Choose the route again after the check.'),
      statusOnError: string('HTTP status when the service fails; default 403.'),
      includeRequestBodyInCheck: requestBody,
    }),
    zipkin: object('Tracing with Zipkin.', {
      service,
      port,
      maxTagLength,
      enable64bitTraceId: boolean('Trace ids of 64 bits.'),
      path: string('Path of the API; default /api/v2/spans.'),
      traceContextOption: enumOf(['USE_B3', 'USE_B3_WITH_W3C_PROPAGATION']),
      timeout: duration('Time for a request.'),
      headers: list(header),
    }),
    lightstep: object('Tracing with Lightstep.', { service, port, accessToken: string(), maxTagLength }),
    datadog: object('Tracing with Datadog.', { service, port, maxTagLength }),
    stackdriver: object('Google Cloud’s operations.', {
      debug: boolean(),
      maxNumberOfAttributes: int64(),
      maxNumberOfAnnotations: int64(),
      maxNumberOfMessageEvents: int64(),
      maxTagLength,
      logging: object('Logging.', { labels: map(string()) }),
    }),
    opencensus: object('Tracing with an OpenCensus agent.', {
      service,
      port,
      context: list(traceContext),
      maxTagLength,
    }),
    skywalking: object('Tracing with SkyWalking.', { service, port, accessToken: string() }),
    opentelemetry: object('Tracing with OpenTelemetry.', {
      service,
      port,
      maxTagLength,
      http: httpService,
      grpc: object('Options of the gRPC exporter.', {
        timeout: duration(),
        initialMetadata: list(header),
      }),
      resourceDetectors: object('Where resource attributes come from.', { environment: struct(), dynatrace: struct() }),
      serviceAttributeEnrichment: enumOf(['ISTIO_CANONICAL', 'OTEL_SEMANTIC_CONVENTIONS']),
      dynatraceSampler: object('Dynatrace’s sampler.', {
        tenant: string(),
        clusterId: int32(),
        rootSpansPerMinute: uint32(),
        httpService: object('Its API.', { service, port, http: httpService }),
      }),
    }),
    prometheus: object('Metrics for Prometheus.', {}),
    envoyFileAccessLog: object('Access log to a file.', {
      path: string('File; default /dev/stdout.'),
      logFormat: object('Format.', { text: string('Line format.'), labels: struct('JSON format.') }, [
        ['text', 'labels'],
      ]),
      omitEmptyValues: boolean('Leave out empty values.'),
    }),
    envoyHttpAls: object('Access log over gRPC, HTTP.', {
      service,
      port,
      logName: string(),
      filterStateObjectsToLog: strings(''),
      additionalRequestHeadersToLog: strings(''),
      additionalResponseHeadersToLog: strings(''),
      additionalResponseTrailersToLog: strings(''),
    }),
    envoyTcpAls: object('Access log over gRPC, TCP.', {
      service,
      port,
      logName: string(),
      filterStateObjectsToLog: strings(''),
    }),
    envoyOtelAls: object('Access log with OpenTelemetry.', {
      service,
      port,
      logName: string(),
      logFormat: object('Format.', { text: string('Body.'), labels: struct('Attributes.') }),
    }),
    sds: object('A source of certificates.', { name: string(), service, port }),
  },
  [
    [
      'envoyExtAuthzHttp',
      'envoyExtAuthzGrpc',
      'zipkin',
      'lightstep',
      'datadog',
      'stackdriver',
      'opencensus',
      'skywalking',
      'opentelemetry',
      'prometheus',
      'envoyFileAccessLog',
      'envoyHttpAls',
      'envoyTcpAls',
      'envoyOtelAls',
      'sds',
    ],
  ],
);
export type ExtensionProvider = TypeOf<typeof extensionProvider>;
