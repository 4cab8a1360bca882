import type { ExtensionProvider } from './telemetry.ts';

/** Kinds of providers that access logs can be sent to. */
const LOG_KINDS = ['envoyFileAccessLog', 'envoyHttpAls', 'envoyTcpAls', 'envoyOtelAls'] as const;

/** Why no access log comes of a provider, for people; undefined where one does. */
export function accessLogProblem(provider: ExtensionProvider): string | undefined {
  if (LOG_KINDS.some((kind) => provider[kind] !== undefined)) return undefined;
  const kind = Object.keys(provider).find((field) => field !== 'name') ?? 'nothing';
  return `${provider.name} is a provider of kind ${kind}, to which stock Envoy sends no access logs: those are ${LOG_KINDS.join(', ')}`;
}
