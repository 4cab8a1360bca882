import type { ExtensionProvider } from '@istio-ts/api';
import type { GrpcService, HeaderValue, HttpService, Tracing_Http, TypedExtensionConfig } from '@istio-ts/envoy';
import type { ScopedProxy } from '@istio-ts/mesh/model';
import { protoDuration } from '../duration.ts';
import { typed } from '../typed.ts';
import type { ProviderTarget } from './provider-service.ts';
import { semanticAttributes } from './tracing-service.ts';

/** A tracer of Envoy, and what it needs of the connections that it traces. */
export interface Tracer {
  readonly provider: Tracing_Http;
  readonly maxTagLength?: number;
  /** The tracer itself decides which requests are traced. */
  readonly samples: boolean;
  /** Each try of a request upstream has a span of its own. */
  readonly spawnsUpstream: boolean;
}

export interface TracerInput {
  readonly provider: ExtensionProvider;
  readonly target: ProviderTarget;
  /** Where the sampler asks for its settings. */
  readonly sampler: ProviderTarget | undefined;
  readonly proxy: ScopedProxy;
  /** What the spans call the workload. */
  readonly serviceName: string;
}

type Headers = readonly { readonly name: string; readonly value?: string }[] | undefined;

const headerValues = (headers: Headers): readonly HeaderValue[] =>
  // A variable of the control plane's that has no value gives no header.
  (headers ?? []).flatMap(({ name, value }) => (value === undefined ? [] : [{ key: name, value }]));

/** How long a collector may take over HTTP and gRPC where the provider does not say. */
const DEFAULT_TIMEOUT = '5s';

function httpService(
  { cluster, hostname }: ProviderTarget,
  port: number,
  path: string,
  timeout: string | undefined,
  headers: Headers,
): HttpService {
  const added = headerValues(headers);
  return {
    httpUri: {
      uri: `http://${hostname}:${port}${path.startsWith('/') ? path : `/${path}`}`,
      cluster,
      timeout: protoDuration(timeout) ?? DEFAULT_TIMEOUT,
    },
    ...(added.length > 0 && {
      requestHeadersToAdd: added.map((header) => ({ header, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' })),
    }),
  };
}

function grpcService(target: ProviderTarget, timeout: string | undefined, headers: Headers): GrpcService {
  const initialMetadata = headerValues(headers);
  const limit = protoDuration(timeout);
  return {
    envoyGrpc: { clusterName: target.cluster, authority: target.hostname },
    ...(limit !== undefined && { timeout: limit }),
    ...(initialMetadata.length > 0 && { initialMetadata }),
  };
}

function zipkin({ service: _, ...zipkin }: NonNullable<ExtensionProvider['zipkin']>, target: ProviderTarget) {
  const path = zipkin.path || '/api/v2/spans';
  const common = {
    collectorEndpointVersion: 'HTTP_JSON',
    traceId128bit: zipkin.enable64bitTraceId !== true,
    sharedSpanContext: false,
    ...(zipkin.traceContextOption === 'USE_B3_WITH_W3C_PROPAGATION' && {
      traceContextOption: 'USE_B3_WITH_W3C_PROPAGATION' as const,
    }),
  } as const;
  const needsService = zipkin.timeout !== undefined || (zipkin.headers ?? []).length > 0;
  return typed('envoy.config.trace.v3.ZipkinConfig', {
    ...common,
    ...(needsService
      ? { collectorService: httpService(target, zipkin.port, path, zipkin.timeout, zipkin.headers) }
      : { collectorCluster: target.cluster, collectorEndpoint: path, collectorHostname: target.hostname }),
  });
}

type OpenTelemetry = NonNullable<ExtensionProvider['opentelemetry']>;

const DETECTORS = 'envoy.tracers.opentelemetry.resource_detectors';

function resourceDetectors(
  { resourceDetectors: wanted }: OpenTelemetry,
  attributes: Readonly<Record<string, string>>,
): readonly TypedExtensionConfig[] {
  return [
    ...(wanted?.environment
      ? [
          {
            name: `${DETECTORS}.environment`,
            typedConfig: typed(
              'envoy.extensions.tracers.opentelemetry.resource_detectors.v3.EnvironmentResourceDetectorConfig',
              {},
            ),
          },
        ]
      : []),
    ...(wanted?.dynatrace
      ? [
          {
            name: `${DETECTORS}.dynatrace`,
            typedConfig: typed(
              'envoy.extensions.tracers.opentelemetry.resource_detectors.v3.DynatraceResourceDetectorConfig',
              {},
            ),
          },
        ]
      : []),
    ...(Object.keys(attributes).length > 0
      ? [
          {
            name: `${DETECTORS}.static_config`,
            typedConfig: typed(
              'envoy.extensions.tracers.opentelemetry.resource_detectors.v3.StaticConfigResourceDetectorConfig',
              { attributes },
            ),
          },
        ]
      : []),
  ];
}

function dynatraceSampler(otel: OpenTelemetry, target: ProviderTarget, own: ProviderTarget | undefined) {
  const { dynatraceSampler: sampler, http } = otel;
  if (sampler === undefined) return {};
  // Without an API of its own the sampler asks the one that takes the spans.
  const api = sampler.httpService;
  const path = api?.http?.path || '/api/v2/samplingConfiguration';
  const asked = api === undefined ? target : (own ?? target);
  return {
    sampler: {
      name: 'envoy.tracers.opentelemetry.samplers.dynatrace',
      typedConfig: typed('envoy.extensions.tracers.opentelemetry.samplers.v3.DynatraceSamplerConfig', {
        tenant: sampler.tenant ?? '',
        clusterId: sampler.clusterId ?? 0,
        ...(sampler.rootSpansPerMinute !== undefined && { rootSpansPerMinute: sampler.rootSpansPerMinute }),
        httpService: httpService(
          asked,
          api?.port ?? otel.port,
          path,
          (api?.http ?? http)?.timeout,
          (api?.http ?? http)?.headers,
        ),
      }),
    },
  };
}

function opentelemetry(otel: OpenTelemetry, { target, sampler, proxy, serviceName }: TracerInput) {
  const semantic =
    otel.serviceAttributeEnrichment === 'OTEL_SEMANTIC_CONVENTIONS' ? semanticAttributes(proxy) : undefined;
  const detectors = resourceDetectors(otel, semantic?.attributes ?? {});
  return typed('envoy.config.trace.v3.OpenTelemetryConfig', {
    ...(otel.http
      ? { httpService: httpService(target, otel.port, otel.http.path ?? '', otel.http.timeout, otel.http.headers) }
      : { grpcService: grpcService(target, otel.grpc?.timeout, otel.grpc?.initialMetadata) }),
    serviceName: semantic?.serviceName ?? serviceName,
    ...(detectors.length > 0 && { resourceDetectors: detectors }),
    ...dynatraceSampler(otel, target, sampler),
  });
}

const lengthOf = (maxTagLength: number | undefined): Pick<Tracer, 'maxTagLength'> =>
  maxTagLength === undefined || maxTagLength === 0 ? {} : { maxTagLength };

/** The tracer of a provider; undefined for a provider that is none or whose tracer stock Envoy does not have (see `tracingProviderProblem`). */
export function tracer(input: TracerInput): Tracer | undefined {
  const { provider, target, serviceName } = input;
  if (provider.zipkin !== undefined)
    return {
      provider: { name: 'envoy.tracers.zipkin', typedConfig: zipkin(provider.zipkin, target) },
      ...lengthOf(provider.zipkin.maxTagLength),
      samples: false,
      spawnsUpstream: false,
    };
  if (provider.opentelemetry !== undefined)
    return {
      provider: { name: 'envoy.tracers.opentelemetry', typedConfig: opentelemetry(provider.opentelemetry, input) },
      ...lengthOf(provider.opentelemetry.maxTagLength),
      samples: provider.opentelemetry.dynatraceSampler !== undefined,
      spawnsUpstream: false,
    };
  if (provider.lightstep !== undefined)
    // Envoy's own tracer for Lightstep is gone; Lightstep takes OpenTelemetry.
    return {
      provider: {
        name: 'envoy.tracers.opentelemetry',
        typedConfig: typed('envoy.config.trace.v3.OpenTelemetryConfig', {
          grpcService: grpcService(target, undefined, [
            { name: 'lightstep-access-token', value: provider.lightstep.accessToken ?? '' },
          ]),
          serviceName,
        }),
      },
      ...lengthOf(provider.lightstep.maxTagLength),
      samples: false,
      spawnsUpstream: false,
    };
  if (provider.datadog !== undefined)
    return {
      provider: {
        name: 'envoy.tracers.datadog',
        typedConfig: typed('envoy.config.trace.v3.DatadogConfig', {
          collectorCluster: target.cluster,
          collectorHostname: target.hostname,
          serviceName,
        }),
      },
      ...lengthOf(provider.datadog.maxTagLength),
      samples: false,
      spawnsUpstream: false,
    };
  if (provider.skywalking !== undefined)
    return {
      provider: {
        name: 'envoy.tracers.skywalking',
        typedConfig: typed('envoy.config.trace.v3.SkyWalkingConfig', {
          grpcService: grpcService(target, undefined, undefined),
          clientConfig: {
            serviceName,
            ...(provider.skywalking.accessToken && { backendToken: provider.skywalking.accessToken }),
          },
        }),
      },
      samples: false,
      // SkyWalking tells what is called by spans of its own (Exit).
      spawnsUpstream: true,
    };
  return undefined;
}

/** The services that a tracing provider sends to and asks; undefined for a provider that is none. */
export function tracingServices({ zipkin, opentelemetry, lightstep, datadog, skywalking }: ExtensionProvider):
  | {
      readonly collector: { readonly service: string; readonly port: number };
      readonly sampler: { readonly service: string; readonly port: number } | undefined;
    }
  | undefined {
  const collector = zipkin ?? opentelemetry ?? lightstep ?? datadog ?? skywalking;
  const sampler = opentelemetry?.dynatraceSampler?.httpService;
  return collector && { collector, sampler };
}
