import { isIP } from 'node:net';
import type { ServiceFacts } from './kubernetes/facts.ts';
import type { Endpoint, ServiceEndpoints } from './model.ts';
import { compareText } from './order.ts';

/** Port of a network's gateway for the mutual TLS of other networks, where its Service does not say another (label `networking.istio.io/gatewayPort`). */
const GATEWAY_PORT = 15443;

/** An address at which workloads of a network are reached from outside of it. */
export interface NetworkGateway {
  readonly address: string;
  readonly port: number;
}

/** Gateways by the network that they lead into. */
export type NetworkGateways = ReadonlyMap<string, readonly NetworkGateway[]>;

/**
 * The gateways of networks: Services with the label `topology.istio.io/network` that have addresses of a load balancer or external ones, and the port
 * for other networks (Istio documentation, "Install Multi-Primary on different networks").
 */
export function networkGateways(services: Iterable<ServiceFacts>): NetworkGateways {
  const result = new Map<string, NetworkGateway[]>();
  for (const { labels, ports, externalAddresses } of services) {
    const network = labels['topology.istio.io/network'] ?? '';
    const port = Number(labels['networking.istio.io/gatewayPort'] ?? GATEWAY_PORT);
    if (network === '' || !ports.some((one) => one.port === port)) continue;
    const list = result.get(network) ?? [];
    for (const address of externalAddresses) if (isIP(address) !== 0) list.push({ address, port });
    if (list.length > 0) result.set(network, list);
  }
  for (const list of result.values())
    list.sort((a, b) => compareText(`${a.address}:${a.port}`, `${b.address}:${b.port}`));
  return new Map([...result].sort(([a], [b]) => compareText(a, b)));
}

/**
 * The endpoints of a service as a client of a network reaches them: those of other networks that have gateways through these, each gateway with the
 * weight of what is behind it. Only mutual TLS passes, as the server name in it says where to; endpoints without it are left out. Networks without
 * a gateway are reached directly, and so is everything where a network is not named.
 */
export function throughGateways(
  endpoints: ServiceEndpoints,
  network: string,
  gateways: NetworkGateways,
): ServiceEndpoints {
  if (network === '' || gateways.size === 0) return endpoints;
  const isFar = (endpoint: Endpoint): boolean =>
    endpoint.network !== '' && endpoint.network !== network && gateways.has(endpoint.network);
  if (!endpoints.endpoints.some(isFar)) return endpoints;
  const groups = new Map<string, Endpoint>();
  const near: Endpoint[] = [];
  for (const endpoint of endpoints.endpoints) {
    if (!isFar(endpoint)) {
      near.push(endpoint);
      continue;
    }
    if (endpoint.tlsMode !== 'istio' || endpoint.health !== 'healthy') continue;
    const { servicePort, labels, locality, identity } = endpoint;
    // Labels choose subsets and localities priorities: what differs in them stays apart.
    const key = JSON.stringify([servicePort, Object.entries(labels).sort(), locality, endpoint.network]);
    const known = groups.get(key);
    groups.set(key, {
      address: '',
      port: 0,
      servicePort,
      health: 'healthy',
      labels,
      locality,
      network: endpoint.network,
      clusterId: endpoint.clusterId,
      weight: (known?.weight ?? 0) + endpoint.weight,
      tlsMode: 'istio',
      ...(identity !== undefined && { identity }),
      node: '',
      behindGateway: true,
    });
  }
  const far = [...groups.values()].flatMap((group) =>
    (gateways.get(group.network) ?? []).map(({ address, port }): Endpoint => ({ ...group, address, port })),
  );
  return { ...endpoints, endpoints: [...near, ...far] };
}
