import type { ProxyScope, ScopedProxy } from '@istio-ts/mesh/model';
import { protoDuration } from '../duration.ts';

type ConnectionPool = NonNullable<NonNullable<ProxyScope['sidecar']>['spec']['inboundConnectionPool']>;

/** How long a quiet connection of bytes stays open: what the connection pool says, else the pod itself (node metadata IDLE_TIMEOUT), else Envoy's hour. */
export function tcpIdleTimeout(pool: ConnectionPool | undefined, proxy: ScopedProxy): string | undefined {
  const { IDLE_TIMEOUT: own } = proxy.metadata;
  return protoDuration(pool?.tcp?.idleTimeout) ?? (typeof own === 'string' ? protoDuration(own) : undefined);
}
