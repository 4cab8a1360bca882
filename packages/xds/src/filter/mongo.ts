import type { ConfigListenerFilter } from '@istio-ts/envoy';
import { typed } from '../typed.ts';

/** Counts the operations of connections that speak MongoDB's protocol (Istio: PILOT_ENABLE_MONGO_FILTER, on by default); it changes nothing of them. */
export const mongoFilter = (statPrefix: string): ConfigListenerFilter => ({
  name: 'envoy.filters.network.mongo_proxy',
  typedConfig: typed('envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy', { statPrefix }),
});
