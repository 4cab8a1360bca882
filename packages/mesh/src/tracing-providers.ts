import type { ExtensionProvider } from './telemetry.ts';

/** Kinds of providers that spans can be sent to. */
const TRACERS = ['zipkin', 'opentelemetry', 'datadog', 'skywalking', 'lightstep'] as const;

/** Tracers that Envoy once had, or never without Google's additions, by the kinds of their providers: why no spans come of them. Istio has dropped them, too. */
export const NO_TRACER = {
  opencensus: 'Envoy’s tracer for OpenCensus is gone: send OpenTelemetry, which OpenCensus’ users have moved to',
  stackdriver:
    'stock Envoy has nothing for Google Cloud: send OpenTelemetry to a collector that hands on to it, and let it scrape Prometheus’ metrics',
} as const;

/** Why no spans come of a provider, for people; undefined where some do. */
export function tracingProblem(provider: ExtensionProvider): string | undefined {
  if (TRACERS.some((kind) => provider[kind] !== undefined)) return undefined;
  const kind = Object.keys(provider).find((field) => field !== 'name') ?? 'nothing';
  const gone = kind === 'opencensus' || kind === 'stackdriver' ? NO_TRACER[kind] : undefined;
  return `${provider.name} is a provider of kind ${kind}, to which proxies send no spans: ${gone ?? `those are ${TRACERS.join(', ')}`}`;
}
