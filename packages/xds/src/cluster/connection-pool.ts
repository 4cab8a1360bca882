import type { MeshConfig } from '@istio-ts/api';
import type { CircuitBreakers, UpstreamConnectionOptions } from '@istio-ts/envoy';
import { nanoseconds, protoDuration } from '../duration.ts';
import type { ConnectionPool, EffectivePolicy } from './traffic-policy.ts';

/** No limit, where Envoy's own default would be 1024 or 3: in Istio limits are set by configuration only. */
const unlimited = 4294967295;

/** Envoy's limits of connections, requests and retries. */
export function circuitBreakers(policy: EffectivePolicy): CircuitBreakers {
  const pool = policy.connectionPool;
  const budget = policy.retryBudget;
  return {
    thresholds: [
      {
        maxConnections: pool?.tcp?.maxConnections || unlimited,
        maxPendingRequests: pool?.http?.http1MaxPendingRequests || unlimited,
        maxRequests: pool?.http?.http2MaxRequests || unlimited,
        ...(budget
          ? {
              retryBudget: {
                budgetPercent: { value: budget.percent ?? 20 },
                minRetryConcurrency: budget.minRetryConcurrency ?? 3,
                ...(protoDuration(budget.budgetInterval) && { budgetInterval: protoDuration(budget.budgetInterval) }),
              },
            }
          : { maxRetries: pool?.http?.maxRetries || unlimited }),
        trackRemaining: true,
      },
    ],
  };
}

export function connectTimeout(pool: ConnectionPool | undefined, mesh: MeshConfig): string {
  return protoDuration(pool?.tcp?.connectTimeout) ?? protoDuration(mesh.connectTimeout) ?? '10s';
}

/** Linux refuses longer ones (tcp(7)). */
const MAX_KEEPALIVE_SECONDS = 32_767;

/** TCP keep-alive, of the DestinationRule before that of the mesh. */
export function connectionOptions(
  pool: ConnectionPool | undefined,
  mesh: MeshConfig,
): UpstreamConnectionOptions | undefined {
  const keepalive = pool?.tcp?.tcpKeepalive ?? mesh.tcpKeepalive;
  if (!keepalive) return undefined;
  const seconds = (text: string | undefined): number | undefined => {
    const ns = text === undefined ? undefined : nanoseconds(text);
    if (ns === undefined || ns <= 0n) return undefined;
    return Math.min(MAX_KEEPALIVE_SECONDS, Number((ns + 999_999_999n) / 1_000_000_000n));
  };
  const time = seconds(keepalive.time);
  const interval = seconds(keepalive.interval);
  return {
    tcpKeepalive: {
      ...(keepalive.probes && { keepaliveProbes: keepalive.probes }),
      ...(time !== undefined && { keepaliveTime: time }),
      ...(interval !== undefined && { keepaliveInterval: interval }),
    },
  };
}
