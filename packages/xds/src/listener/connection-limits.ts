import type { ProxyScope, ScopedProxy } from '@istio-ts/mesh/model';
import { protoDuration } from '../duration.ts';
import type { TcpProxyInput } from '../filter/tcp-proxy.ts';

type ConnectionPool = NonNullable<NonNullable<ProxyScope['sidecar']>['spec']['inboundConnectionPool']>;

/** Time limits of connections of bytes: what the connection pool says, for quiet ones else the pod itself (node metadata IDLE_TIMEOUT), else Envoy's hour. */
export function connectionLimits(
  pool: ConnectionPool | undefined,
  proxy: ScopedProxy,
): Pick<TcpProxyInput, 'idleTimeout' | 'maxConnectionDuration'> {
  const { IDLE_TIMEOUT: own } = proxy.metadata;
  const idleTimeout =
    protoDuration(pool?.tcp?.idleTimeout) ?? (typeof own === 'string' ? protoDuration(own) : undefined);
  const maxConnectionDuration = protoDuration(pool?.tcp?.maxConnectionDuration);
  return {
    ...(idleTimeout !== undefined ? { idleTimeout } : {}),
    ...(maxConnectionDuration !== undefined ? { maxConnectionDuration } : {}),
  };
}
