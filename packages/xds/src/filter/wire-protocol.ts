import type { ConfigListenerFilter } from '@istio-ts/envoy';
import type { Protocol, ScopedProxy } from '@istio-ts/mesh/model';
import { typed } from '../typed.ts';

/** Protocols of databases that Envoy understands. */
export type WireProtocol = 'Mongo' | 'Redis';

/** A declared protocol of this kind, and the name of its statistics. */
export interface Wire {
  readonly protocol: WireProtocol;
  readonly statPrefix: string;
}

/** What is known of the protocol of a port; undefined where bytes are just bytes. */
export const wireOf = (protocol: Protocol | undefined, statPrefix: string): Wire | undefined =>
  protocol === 'Mongo' || protocol === 'Redis' ? { protocol, statPrefix } : undefined;

/** How long a command of Redis may take. */
const REDIS_TIMEOUT = '5s';

/**
 * The last filters of connections whose protocol is declared, as far as the mesh asks for their filters (Istio: PILOT_ENABLE_MONGO_FILTER, which is on, and
 * PILOT_ENABLE_REDIS_FILTER, which is off). MongoDB's counts operations and changes nothing of them. Redis' takes
 * the place of `forward`: it sends each command to an endpoint of its own choice, and does so for one cluster only; where a connection may go to several,
 * bytes are just forwarded.
 */
export function wireFilters(
  wire: Wire | undefined,
  proxy: Pick<ScopedProxy, 'wireFilters'>,
  clusters: readonly string[],
  forward: ConfigListenerFilter,
): readonly ConfigListenerFilter[] {
  if (!wire || !(proxy.wireFilters ?? ['Mongo']).includes(wire.protocol)) return [forward];
  const { statPrefix } = wire;
  switch (wire.protocol) {
    case 'Mongo':
      return [
        {
          name: 'envoy.filters.network.mongo_proxy',
          typedConfig: typed('envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy', { statPrefix }),
        },
        forward,
      ];
    case 'Redis': {
      const [cluster, ...others] = clusters;
      if (cluster === undefined || others.length > 0) return [forward];
      return [
        {
          name: 'envoy.filters.network.redis_proxy',
          typedConfig: typed('envoy.extensions.filters.network.redis_proxy.v3.RedisProxy', {
            statPrefix,
            latencyInMicros: true,
            settings: { opTimeout: REDIS_TIMEOUT },
            prefixRoutes: { catchAllRoute: { cluster } },
          }),
        },
      ];
    }
  }
}
