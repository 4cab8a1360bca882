import type { ExtensionProvider } from './telemetry.ts';
import { tracingProblem } from './tracing-providers.ts';

/** What a provider can be named for: the sections of a Telemetry, and of `defaultProviders`. */
export const TELEMETRY_SECTIONS = ['metrics', 'tracing', 'accessLogging'] as const;
export type TelemetrySection = (typeof TELEMETRY_SECTIONS)[number];

/** Kinds of providers that access logs can be sent to. */
const LOG_KINDS = ['envoyFileAccessLog', 'envoyHttpAls', 'envoyTcpAls', 'envoyOtelAls'] as const;

const kindOf = (provider: ExtensionProvider): string =>
  Object.keys(provider).find((field) => field !== 'name') ?? 'nothing';

/** Why no access log comes of a provider, for people; undefined where one does. */
function accessLogProblem(provider: ExtensionProvider): string | undefined {
  if (LOG_KINDS.some((kind) => provider[kind] !== undefined)) return undefined;
  return `${provider.name} is a provider of kind ${kindOf(provider)}, to which stock Envoy sends no access logs: those are ${LOG_KINDS.join(', ')}`;
}

/** Why no metrics come of a provider, for people; undefined where some do. */
function metricsProblem(provider: ExtensionProvider): string | undefined {
  if (provider.prometheus !== undefined) return undefined;
  return `${provider.name} is a provider of kind ${kindOf(provider)}, to which stock Envoy reports no metrics: only providers of kind prometheus are, whose metrics a collector can hand on`;
}

/** Why nothing comes of a provider where a section names it, for people; undefined where something does. */
export function providerProblem(section: TelemetrySection, provider: ExtensionProvider): string | undefined {
  switch (section) {
    case 'metrics':
      return metricsProblem(provider);
    case 'tracing':
      return tracingProblem(provider);
    case 'accessLogging':
      return accessLogProblem(provider);
  }
}
