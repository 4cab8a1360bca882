import type { HttpConnectionManager_Tracing, Tracing_Http } from '@istio-ts/envoy';
import type { ProxyScope, ScopedProxy, Service } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';
import { outboundCluster } from '../names.ts';
import { followAlias } from '../route/destination.ts';
import { typed } from '../typed.ts';

/** Share of requests that get a trace when nothing else is said (also by PILOT_TRACE_SAMPLING). */
const DEFAULT_SAMPLING_PERCENT = 1;

/** The service that collects spans: `service` is written as `namespace/host` or `host`. */
function collectorService(scope: Pick<ProxyScope, 'serviceByHost'>, service: string | undefined): Service | undefined {
  const host = service?.slice(service.indexOf('/') + 1) ?? '';
  return followAlias(scope, host);
}

interface TracingInput {
  readonly mesh: ProxyScope['mesh'];
  readonly proxy: ScopedProxy;
  readonly provider: Provider;
  readonly collector: Service;
}

type Provider = NonNullable<ProxyScope['mesh']['extensionProviders']>[number];

function tracer({ provider, collector, proxy }: TracingInput): Tracing_Http | undefined {
  if (provider.zipkin !== undefined) {
    const { port, path, enable64bitTraceId } = provider.zipkin;
    return {
      name: 'envoy.tracers.zipkin',
      typedConfig: typed('envoy.config.trace.v3.ZipkinConfig', {
        collectorCluster: outboundCluster(port ?? 9411, '', collector.hostname),
        collectorEndpoint: path !== undefined && path !== '' ? path : '/api/v2/spans',
        collectorEndpointVersion: 'HTTP_JSON',
        collectorHostname: collector.hostname,
        traceId128bit: enable64bitTraceId !== true,
        sharedSpanContext: false,
      }),
    };
  }
  if (provider.opentelemetry !== undefined) {
    return {
      name: 'envoy.tracers.opentelemetry',
      typedConfig: typed('envoy.config.trace.v3.OpenTelemetryConfig', {
        grpcService: {
          envoyGrpc: {
            clusterName: outboundCluster(provider.opentelemetry.port ?? 4317, '', collector.hostname),
            authority: collector.hostname,
          },
        },
        serviceName: `${proxy.labels.app ?? proxy.canonicalName}.${proxy.namespace}`,
      }),
    };
  }
  return undefined;
}

/** Sampling of the pod itself (annotation proxy.istio.io/config), in percent. */
function ownSampling({ metadata: { PROXY_CONFIG: own } }: ScopedProxy): number | undefined {
  const sampling =
    typeof own === 'object' && own !== null
      ? (own as { readonly tracing?: { readonly sampling?: unknown } }).tracing?.sampling
      : undefined;
  return typeof sampling === 'number' ? sampling : undefined;
}

const settings = memoByInputs(
  ({ mesh, proxy, provider, collector }: TracingInput) => [mesh, proxy, provider, collector],
  (input): HttpConnectionManager_Tracing | undefined => {
    const chosen = tracer(input);
    const { proxy, mesh } = input;
    return chosen === undefined
      ? undefined
      : {
          clientSampling: { value: 100 },
          randomSampling: {
            value:
              ownSampling(proxy) ??
              mesh.defaultConfig?.tracing?.sampling ??
              proxy.switches?.traceSampling ??
              DEFAULT_SAMPLING_PERCENT,
          },
          overallSampling: { value: 100 },
          provider: chosen,
          customTags: [
            {
              tag: 'istio.canonical_revision',
              literal: { value: proxy.canonicalRevision === '' ? 'latest' : proxy.canonicalRevision },
            },
            {
              tag: 'istio.canonical_service',
              literal: { value: proxy.canonicalName === '' ? 'unknown' : proxy.canonicalName },
            },
            { tag: 'istio.cluster_id', literal: { value: proxy.clusterId === '' ? 'unknown' : proxy.clusterId } },
            { tag: 'istio.namespace', literal: { value: proxy.namespace === '' ? 'default' : proxy.namespace } },
          ],
        };
  },
);

/**
 * Tracing settings of HTTP connections, from the mesh's default provider; undefined without a provider whose service the proxy can reach. The
 * identical object as long as nothing that it is made of changed.
 */
export function tracing(
  scope: Pick<ProxyScope, 'mesh' | 'proxy' | 'serviceByHost'>,
): HttpConnectionManager_Tracing | undefined {
  const { mesh, proxy } = scope;
  const [name] = mesh.defaultProviders?.tracing ?? [];
  const provider =
    mesh.enableTracing === false || name === undefined
      ? undefined
      : mesh.extensionProviders?.find((p) => p.name === name);
  const collector = collectorService(scope, provider?.zipkin?.service ?? provider?.opentelemetry?.service);
  return provider === undefined || collector === undefined ? undefined : settings({ mesh, proxy, provider, collector });
}
