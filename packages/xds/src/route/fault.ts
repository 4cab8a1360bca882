import { GRPC_STATUS_NAMES } from '@istio-ts/api/status-names';
import type { HTTPFault, TypedAny } from '@istio-ts/envoy';
import { protoDuration } from '../duration.ts';
import { typed } from '../typed.ts';
import { fraction } from './percent.ts';
import type { Fault } from './spec.ts';

function grpcStatus(text: string): number | undefined {
  const byName = (GRPC_STATUS_NAMES as readonly string[]).indexOf(text.toUpperCase());
  return byName !== -1 ? byName : /^\d+$/.test(text) ? Number(text) : undefined;
}

/**
 * Configuration of the fault filter for one route; undefined when the route injects nothing. Without a percentage no request is delayed or aborted
 * (VirtualService reference, HTTPFaultInjection.Delay and Abort).
 */
export function faultConfig(
  fault: Fault | undefined,
): TypedAny<'envoy.extensions.filters.http.fault.v3.HTTPFault'> | undefined {
  const result: { -readonly [K in keyof HTTPFault]: HTTPFault[K] } = {};
  const delay = fault?.delay;
  const fixedDelay = protoDuration(delay?.fixedDelay);
  if (delay !== undefined && fixedDelay !== undefined) {
    result.delay = {
      fixedDelay,
      percentage: fraction(delay.percentage === undefined ? (delay.percent ?? 0) : (delay.percentage.value ?? 0)),
    };
  }
  const abort = fault?.abort;
  if (abort !== undefined) {
    const percentage = fraction(abort.percentage?.value ?? 0);
    const grpc = abort.grpcStatus === undefined ? undefined : grpcStatus(abort.grpcStatus);
    if (abort.httpStatus !== undefined) {
      result.abort = { httpStatus: abort.httpStatus, percentage };
    } else if (grpc !== undefined) {
      result.abort = { grpcStatus: grpc, percentage };
    }
  }
  return result.delay === undefined && result.abort === undefined
    ? undefined
    : typed('envoy.extensions.filters.http.fault.v3.HTTPFault', result);
}
