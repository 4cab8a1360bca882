import type { Cluster_CommonLbConfig, MatcherMatchPredicate, OutlierDetection } from '@istio-ts/envoy';
import { protoDuration } from '../duration.ts';
import type { OutlierSettings } from './traffic-policy.ts';

/** Ejection of endpoints that fail, or undefined where it is not asked for. */
export function outlierDetection(settings: OutlierSettings | undefined): OutlierDetection | undefined {
  if (!settings) return undefined;
  const interval = protoDuration(settings.interval);
  const ejection = protoDuration(settings.baseEjectionTime);
  const errors = settings.consecutive5xxErrors ?? (settings.consecutiveErrors || undefined);
  return {
    ...counted('consecutive5xx', 'enforcingConsecutive5xx', errors),
    ...counted('consecutiveGatewayFailure', 'enforcingConsecutiveGatewayFailure', settings.consecutiveGatewayErrors),
    ...(interval !== undefined && { interval }),
    ...(ejection !== undefined && { baseEjectionTime: ejection }),
    ...(settings.maxEjectionPercent && { maxEjectionPercent: settings.maxEjectionPercent }),
    // Ejection by comparison of success rates is nothing that anybody asked for.
    enforcingSuccessRate: 0,
    ...(settings.splitExternalLocalOriginErrors && {
      splitExternalLocalOriginErrors: true,
      ...counted(
        'consecutiveLocalOriginFailure',
        'enforcingConsecutiveLocalOriginFailure',
        settings.consecutiveLocalOriginFailures,
      ),
      enforcingLocalOriginSuccessRate: 0,
    }),
  };
}

/** A count of 0 switches that sort of ejection off. */
function counted(
  count: keyof OutlierDetection,
  enforcing: keyof OutlierDetection,
  value: number | undefined,
): Partial<OutlierDetection> {
  if (value === undefined) return {};
  return value > 0 ? { [count]: value, [enforcing]: 100 } : { [enforcing]: 0 };
}

/**
 * Below this share of healthy endpoints Envoy sends to all of them; never, unless asked for, with outlier detection and where it knows endpoints that are
 * not ready.
 */
export function panicThreshold(
  settings: OutlierSettings | undefined,
  unhealthyToo: boolean,
): Pick<Cluster_CommonLbConfig, 'healthyPanicThreshold'> {
  return settings || unhealthyToo ? { healthyPanicThreshold: { value: settings?.minHealthPercent ?? 0 } } : {};
}

/** Answers that count as errors where a list of status codes says so; undefined: all 5xx. */
export function errorAnswers(settings: OutlierSettings | undefined): MatcherMatchPredicate | undefined {
  const codes = settings?.outlierDetectionHttpErrorCodes ?? [];
  if (codes.length === 0) return undefined;
  return {
    httpResponseHeadersMatch: {
      headers: [{ name: ':status', stringMatch: { safeRegex: { regex: [...new Set(codes)].join('|') } } }],
    },
  };
}
