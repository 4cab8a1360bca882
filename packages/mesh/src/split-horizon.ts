import type { Endpoint, ServiceEndpoints } from './model.ts';
import type { NetworkGateway, NetworkGateways } from './networks.ts';

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
const lcm = (a: number, b: number): number => (a / gcd(a, b)) * b;

/** From where a proxy reaches endpoints. */
export interface NetworkPlace {
  /** Its own network; '' where it has none. */
  readonly network: string;
  /** Networks of which it sees endpoints at all; undefined for every network. */
  readonly view: readonly string[] | undefined;
}

/** The networks that a proxy asks to see (node metadata `REQUESTED_NETWORK_VIEW`: names, separated by commas). */
export function requestedNetworks(metadata: Readonly<Record<string, unknown>>): readonly string[] | undefined {
  const { REQUESTED_NETWORK_VIEW: requested } = metadata;
  if (typeof requested !== 'string') return undefined;
  const names = requested.split(',').map((name) => name.trim());
  const named = names.filter((name) => name !== '');
  return named.length > 0 ? named : undefined;
}

/** The endpoints that a proxy sees: of the networks that it asked for, and those of no network. */
export function inNetworkView(endpoints: ServiceEndpoints, view: NetworkPlace['view']): ServiceEndpoints {
  if (view === undefined) return endpoints;
  const seen = endpoints.endpoints.filter(({ network }) => network === '' || view.includes(network));
  return seen.length === endpoints.endpoints.length ? endpoints : { ...endpoints, endpoints: seen };
}

/**
 * The endpoints of a service as a client of a network reaches them: those of other networks that have gateways through these, the gateways of a
 * network together with the weight of what is behind them. Only mutual TLS passes, as the server name in it says where to; endpoints without it are
 * left out. Networks without a gateway are reached directly, and so is everything where a network is not named.
 */
export function throughGateways(
  endpoints: ServiceEndpoints,
  network: string,
  gateways: NetworkGateways,
): ServiceEndpoints {
  if (network === '' || gateways.size === 0) return endpoints;
  const gatewaysTo = (endpoint: Endpoint): readonly NetworkGateway[] =>
    endpoint.network === '' || endpoint.network === network ? [] : (gateways.get(endpoint.network) ?? []);
  const crossed = endpoints.endpoints.map(gatewaysTo).filter((list) => list.length > 0);
  if (crossed.length === 0) return endpoints;
  // Weights are whole numbers: all are scaled so that each gateway's part of its network's weight is one.
  const scale = crossed.reduce((product, list) => lcm(product, list.length), 1);
  const groups = new Map<string, { readonly endpoint: Endpoint; readonly via: readonly NetworkGateway[] }>();
  const near: Endpoint[] = [];
  for (const endpoint of endpoints.endpoints) {
    const via = gatewaysTo(endpoint);
    if (via.length === 0) {
      near.push(scale === 1 ? endpoint : { ...endpoint, weight: endpoint.weight * scale });
      continue;
    }
    if (endpoint.tlsMode !== 'istio' || endpoint.health !== 'healthy') continue;
    const { servicePort, labels, locality, identity } = endpoint;
    // Labels choose subsets and localities priorities: what differs in them stays apart.
    const key = JSON.stringify([servicePort, Object.entries(labels).sort(), locality, endpoint.network]);
    const known = groups.get(key);
    groups.set(key, {
      via,
      endpoint: {
        address: '',
        port: 0,
        servicePort,
        health: 'healthy',
        labels,
        locality,
        network: endpoint.network,
        clusterId: endpoint.clusterId,
        weight: (known?.endpoint.weight ?? 0) + (endpoint.weight * scale) / via.length,
        tlsMode: 'istio',
        ...(identity !== undefined && { identity }),
        node: '',
        behindGateway: true,
      },
    });
  }
  const far = [...groups.values()].flatMap(({ endpoint, via }) =>
    via.map(({ address, port }): Endpoint => ({ ...endpoint, address, port })),
  );
  return { ...endpoints, endpoints: [...near, ...far] };
}
