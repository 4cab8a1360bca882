import type { MetricsRegistry } from '@istio-ts/metrics';
import { type createEngine, encodedResources } from '@istio-ts/xds';
import type { Logger } from '../log.ts';

type EngineOptions = NonNullable<Parameters<typeof createEngine>[1]>;

/** What the making of configuration tells: counters by the names of Istio, and the log. */
export function createEngineReports(
  metrics: MetricsRegistry,
  log: Logger,
): Pick<EngineOptions, 'onError' | 'onSecretProblem' | 'onFailure'> {
  const internalErrors = metrics.counter(
    'pilot_xds_generation_errors_total',
    'Resources that could not be made; the ones before them stay in force.',
  );
  metrics.counter(
    'istiod_xds_resources_encoded_total',
    'Resources for proxies that were encoded since the start, each once for all proxies that share it.',
    () => [...encodedResources().values()].reduce((sum, count) => sum + count, 0),
  );
  const secretErrors = metrics.counter(
    'pilot_sds_certificate_errors_total',
    'Secrets of certificates that proxies need and that are missing or hold nothing usable.',
  );
  const text = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : `${error}`);
  return {
    onError: ({ type, name, error }) => {
      internalErrors.add();
      log.error(`${type} ${name}: ${text(error)}`);
    },
    onSecretProblem: ({ origin, path, message }) => {
      secretErrors.add();
      log.warn(`${origin.kind} ${origin.namespace}/${origin.name}: ${path === '' ? '' : `${path}: `}${message}`);
    },
    onFailure: ({ errors }) => {
      internalErrors.add({}, errors.length);
      for (const error of errors) log.error(text(error));
    },
  };
}
