import { RETRY_CONDITIONS } from '@istio-ts/api/status-names';
import type { RouteRetryPolicy } from '@istio-ts/envoy';
import { protoDuration } from '../duration.ts';
import { typed } from '../typed.ts';
import type { Retries } from './spec.ts';

/** Conditions of HTTPRetry.retryOn's documented default: the request cannot have been processed, so that trying again is safe. */
const DEFAULT_RETRY_ON = 'connect-failure,refused-stream,unavailable,cancelled';

const PREVIOUS_HOSTS = {
  name: 'envoy.retry_host_predicates.previous_hosts',
  typedConfig: typed('envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate', {}),
} as const;

/** Splits retryOn into Envoy's conditions and the status codes that Istio lets stand among them. */
function conditions(retryOn: string): { readonly retryOn: string; readonly codes: readonly number[] } {
  const names: string[] = [];
  const codes: number[] = [];
  for (const part of retryOn.split(',').map((p) => p.trim())) {
    if (/^[1-5]\d\d$/.test(part)) {
      codes.push(Number(part));
    } else if (RETRY_CONDITIONS.has(part)) {
      names.push(part);
    }
  }
  if (codes.length > 0 && !names.includes('retriable-status-codes')) {
    names.push('retriable-status-codes');
  }
  return { retryOn: names.join(','), codes };
}

/**
 * Retry policy of a route: the route's own, else the mesh's default, else two retries on conditions under which the request was not processed.
 * Undefined means no retries (`attempts: 0`).
 */
export function retryPolicy(
  route: Retries | undefined,
  meshDefault: Retries | undefined,
): RouteRetryPolicy | undefined {
  const retries = route ?? meshDefault;
  if (
    retries !== undefined &&
    (retries.attempts ?? 0) <= 0 &&
    (route !== undefined || retries.attempts !== undefined)
  ) {
    return undefined;
  }
  const wanted = retries?.retryOn !== undefined && retries.retryOn !== '' ? retries.retryOn : DEFAULT_RETRY_ON;
  const { retryOn, codes } = conditions(wanted);
  const perTryTimeout = protoDuration(retries?.perTryTimeout);
  const backoff = protoDuration(retries?.backoff);
  return {
    retryOn,
    numRetries: retries?.attempts ?? 2,
    ...(perTryTimeout !== undefined ? { perTryTimeout } : {}),
    // A retry on the host that just failed helps nobody unless the user says so.
    ...(retries?.retryIgnorePreviousHosts === false ? {} : { retryHostPredicate: [PREVIOUS_HOSTS] }),
    hostSelectionRetryMaxAttempts: 5,
    ...(codes.length > 0 ? { retriableStatusCodes: codes } : {}),
    ...(retries?.retryRemoteLocalities === true
      ? {
          retryPriority: {
            name: 'envoy.retry_priorities.previous_priorities',
            typedConfig: typed('envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig', {
              updateFrequency: 2,
            }),
          },
        }
      : {}),
    ...(backoff !== undefined ? { retryBackOff: { baseInterval: backoff } } : {}),
  };
}
