import type { Listener } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { gatewayListeners } from '../gateway/listener.ts';
import type { Generated } from '../generated.ts';
import { listenerContext } from './context.ts';
import { inboundListeners } from './inbound.ts';
import { outboundListeners } from './outbound.ts';

/** Listeners of a proxy. A listener keeps its identity between two scopes as long as nothing that it is made of changed. */
export function buildListeners(scope: ProxyScope): readonly Generated<Listener>[] {
  const context = listenerContext(scope);
  switch (scope.proxy.type) {
    case 'sidecar':
      return [...outboundListeners(scope, context), ...inboundListeners(scope, context)];
    case 'router':
      return gatewayListeners(scope, context);
    case 'waypoint':
    case 'ztunnel':
      return [];
    default: {
      const unknown: never = scope.proxy.type;
      return unknown;
    }
  }
}
