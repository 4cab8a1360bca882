import { at, type Json, list, number, text } from '@istio-ts/envoy-dump/json';
import type { SeenRequest } from './request.ts';

/** A listener, the port as which it sees the connection, and how it came to it. */
export interface ListenerChoice {
  readonly listener: Json | undefined;
  readonly port: number;
  readonly sentence: string;
}

const portOf = (listener: Json): number | undefined => number(at(listener, 'address', 'socketAddress', 'portValue'));
const addressOf = (listener: Json): string => text(at(listener, 'address', 'socketAddress', 'address'));
const isWildcard = (listener: Json): boolean => ['0.0.0.0', '::'].includes(addressOf(listener));

/** Ports of Services and those that gateways listen on behind them (Istio: the gateway charts' targetPort). */
const gatewayPorts: Readonly<Record<number, number>> = { 80: 8080, 443: 8443 };

/** Whether a chain of a listener leads to a host: TCP listeners stand at an address, and only their clusters tell whose it is. */
function leadsTo(listener: Json, host: string): boolean {
  const clusters = JSON.stringify(listener.filterChains ?? []).match(/outbound\|\d+\|[^|"]*\|[^|"]+/g) ?? [];
  return clusters.some((cluster) => {
    const fqdn = cluster.split('|')[3] ?? '';
    return fqdn === host || fqdn.startsWith(`${host}.`);
  });
}

/** Listener of a sidecar for what comes to its pod. */
const isInbound = (listener: Json): boolean => text(listener.name) === 'virtualInbound';

/** Finds the listener that takes a request. A host is an address, the name of a Service, or one outside. */
export function chooseListener(listeners: readonly Json[], request: SeenRequest): ListenerChoice {
  const inbound = listeners.find(isInbound);
  const { port, host } = request;
  if (request.direction === 'inbound' && inbound !== undefined)
    return {
      listener: inbound,
      port,
      sentence: `Traffic that comes to the pod is redirected to ${text(inbound.name)}.`,
    };
  const isGateway = inbound === undefined;
  const ports = isGateway ? [port, ...(gatewayPorts[port] === undefined ? [] : [gatewayPorts[port]])] : [port];
  for (const wanted of ports) {
    const here = listeners.filter(
      (listener) => portOf(listener) === wanted && !['virtualOutbound', 'virtualInbound'].includes(text(listener.name)),
    );
    const own = here.find(
      (listener) => addressOf(listener) === host || (!isWildcard(listener) && leadsTo(listener, host)),
    );
    const found = own ?? here.find(isWildcard);
    if (found !== undefined)
      return {
        listener: found,
        port: wanted,
        sentence:
          wanted === port
            ? own !== undefined && !isGateway
              ? `The listener at ${addressOf(found)} is that of ${host}.`
              : `The listener for port ${wanted} takes it.`
            : `Port ${port} of a gateway's Service is port ${wanted} of its pods, where this listener is.`,
      };
  }
  if (isGateway)
    return {
      listener: undefined,
      port,
      sentence: `The gateway has no listener for port ${port}: connections are refused.`,
    };
  const outbound = listeners.find((listener) => text(listener.name) === 'virtualOutbound');
  return {
    listener: outbound,
    port,
    sentence: `The mesh knows nothing on port ${port}${outbound === undefined ? ', and the proxy takes no outbound traffic' : ': the listener for all else takes it'}.`,
  };
}

/** Filters of a chain by the type of their configuration. */
export const networkFilters = (chain: Json): readonly Json[] => list(chain.filters);
