import type { MeshConfig } from '@istio-ts/api';
import type { ExtensionProvider } from './telemetry.ts';

/** Kinds of providers that spans can be sent to. */
const TRACERS = ['zipkin', 'opentelemetry', 'datadog', 'skywalking', 'lightstep'] as const;

/** Tracers that Envoy once had, or never without Google's additions. */
const GONE: Readonly<Record<string, string>> = {
  opencensus: 'Envoy’s tracer for OpenCensus is gone: send OpenTelemetry, which OpenCensus’ users have moved to',
  stackdriver: 'stock Envoy has no tracer for Google Cloud: send OpenTelemetry to a collector that hands on to it',
};

/** Why no spans come of a provider, for people; undefined where some do. */
export function tracingProblem(provider: ExtensionProvider): string | undefined {
  if (TRACERS.some((kind) => provider[kind] !== undefined)) return undefined;
  const kind = Object.keys(provider).find((field) => field !== 'name') ?? 'nothing';
  const gone = GONE[kind];
  return gone === undefined
    ? `${provider.name} is a provider of kind ${kind}, to which proxies send no spans: those are ${TRACERS.join(', ')}`
    : `${provider.name} is a provider of kind ${kind}, to which proxies send no spans: ${gone}`;
}

/** What of the mesh configuration's tracing stock Envoy cannot do; each begins with the field. */
export function meshTracingProblems(mesh: MeshConfig): readonly string[] {
  const { tracing } = mesh.defaultConfig;
  const byDefault = mesh.defaultProviders.tracing ?? [];
  return [
    ...mesh.extensionProviders.flatMap((provider) => {
      // The provider `stackdriver` is in every mesh configuration.
      const isOwn = provider.stackdriver !== undefined && provider.name !== 'stackdriver';
      const kind = provider.opencensus ? 'opencensus' : isOwn ? 'stackdriver' : undefined;
      return kind === undefined
        ? []
        : [`extensionProviders[name=${provider.name}].${kind}: no spans are sent: ${GONE[kind]}`];
    }),
    ...byDefault.slice(0, 1).flatMap((name) => {
      const provider = mesh.extensionProviders.find((each) => each.name === name);
      const problem = provider === undefined ? `there is no extension provider ${name}` : tracingProblem(provider);
      return problem === undefined ? [] : [`defaultProviders.tracing[0]: ${problem}`];
    }),
    ...(tracing?.openCensusAgent
      ? [`defaultConfig.tracing.openCensusAgent: no spans are sent: ${GONE.opencensus}`]
      : []),
    ...(tracing?.stackdriver ? [`defaultConfig.tracing.stackdriver: no spans are sent: ${GONE.stackdriver}`] : []),
  ];
}
