import type { MeshConfig } from '@istio-ts/api';
import { extensionProvider } from './telemetry.ts';
import { providerProblem, TELEMETRY_SECTIONS } from './telemetry-providers.ts';
import { NO_TRACER } from './tracing-providers.ts';

/** What of the mesh configuration's telemetry stock Envoy cannot do, for people; each begins with the field. */
export function meshTelemetryProblems(mesh: MeshConfig): readonly string[] {
  const { tracing } = mesh.defaultConfig;
  return [
    ...mesh.extensionProviders.flatMap((provider) => {
      if (provider.opencensus !== undefined)
        return [`extensionProviders[name=${provider.name}].opencensus: no spans are sent: ${NO_TRACER.opencensus}`];
      // The empty provider `stackdriver` is in every mesh configuration.
      const isBuiltIn = provider.name === 'stackdriver' && Object.keys(provider.stackdriver ?? {}).length === 0;
      return provider.stackdriver === undefined || isBuiltIn
        ? []
        : [
            `extensionProviders[name=${provider.name}].stackdriver: neither spans nor metrics nor logs are sent: ${NO_TRACER.stackdriver}`,
          ];
    }),
    ...TELEMETRY_SECTIONS.flatMap((section) =>
      (mesh.defaultProviders[section] ?? []).flatMap((name, i) => {
        // Of several tracers the first is used.
        if (section === 'tracing' && i > 0) return [];
        const provider = extensionProvider(mesh, name);
        const problem =
          provider === undefined ? `there is no extension provider ${name}` : providerProblem(section, provider);
        return problem === undefined ? [] : [`defaultProviders.${section}[${i}]: ${problem}`];
      }),
    ),
    ...(tracing?.openCensusAgent
      ? [`defaultConfig.tracing.openCensusAgent: no spans are sent: ${NO_TRACER.opencensus}`]
      : []),
    ...(tracing?.stackdriver ? [`defaultConfig.tracing.stackdriver: no spans are sent: ${NO_TRACER.stackdriver}`] : []),
  ];
}
