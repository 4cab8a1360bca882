import { BlockList, isIP } from 'node:net';
import type { MeshNetworks } from '@istio-ts/api';
import type { NodeFacts, ServiceFacts } from './kubernetes/facts.ts';
import { fields, textMap } from './kubernetes/read.ts';
import { compareText } from './order.ts';
import { selectorMatches } from './selector.ts';

/** Label of pods, namespaces and gateway Services that names their network. */
export const networkLabel = 'topology.istio.io/network';
/** Label of a gateway's Service that names its port for other networks. */
const gatewayPortLabel = 'networking.istio.io/gatewayPort';
/** Annotation of a gateway's Service of type NodePort: labels of the nodes that lead to it, as a JSON object; `{}` for all nodes. */
const nodeSelectorAnnotation = 'traffic.istio.io/nodeSelector';

/** Port of a network's gateway for the mutual TLS of other networks, where its Service does not say another. */
const GATEWAY_PORT = 15443;

/** An address at which workloads of a network are reached from outside of it. */
export interface NetworkGateway {
  readonly address: string;
  readonly port: number;
}

/** Gateways by the network that they lead into. */
export type NetworkGateways = ReadonlyMap<string, readonly NetworkGateway[]>;

/** What the gateways of networks are found by. */
export interface GatewaySources {
  /** Services with the label of a network. */
  readonly labelled: Iterable<ServiceFacts>;
  /** Key `meshNetworks` of the mesh configuration. */
  readonly networks: MeshNetworks;
  /** The Service of a fully qualified host name, where it is one of Kubernetes. */
  readonly serviceOf: (host: string) => ServiceFacts | undefined;
  /** Addresses of a DNS name; empty while they are not known. */
  readonly resolved: (name: string) => readonly string[];
  /** The nodes of the cluster; asked for only where a Service is reached by them. */
  readonly nodes: () => Iterable<NodeFacts>;
}

/** The labels that the nodes of a Service's annotation have; undefined where it says none, or nothing that can be read. */
function nodeSelector({ type, annotations }: ServiceFacts): Readonly<Record<string, string>> | undefined {
  const written = annotations[nodeSelectorAnnotation];
  if (type !== 'NodePort' || written === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(written);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? textMap(fields(value)) : undefined;
  } catch {
    return undefined;
  }
}

/** Where a port of a Service is reached from outside of the cluster: at its load balancer, or at nodes. */
function outsideOf(
  service: ServiceFacts,
  port: number,
  nodes: GatewaySources['nodes'],
): readonly { readonly host: string; readonly port: number }[] {
  const selector = nodeSelector(service);
  const nodePort = selector && service.ports.find((one) => one.port === port)?.nodePort;
  if (selector && nodePort !== undefined)
    return [...nodes()]
      .filter(({ labels }) => selectorMatches(selector, labels))
      .flatMap(({ externalAddresses: [host] }) => (host === undefined ? [] : [{ host, port: nodePort }]));
  return [...service.externalAddresses, ...service.externalNames].map((host) => ({ host, port }));
}

/**
 * The gateways of networks: those that the mesh networks name by address or by Service, and Services with the label of a network that have external
 * addresses and the port for other networks (Istio documentation, "Install Multi-Primary on different networks"; MeshNetworks reference). A Service of
 * type NodePort is reached at the external addresses of the nodes that its annotation `traffic.istio.io/nodeSelector` chooses.
 */
export function networkGateways(sources: GatewaySources): NetworkGateways {
  const result = new Map<string, Map<string, NetworkGateway>>();
  const add = (network: string, host: string, port: number): void => {
    for (const address of isIP(host) === 0 ? sources.resolved(host) : [host]) {
      const list = result.get(network) ?? new Map<string, NetworkGateway>();
      list.set(`${address} ${port}`, { address, port });
      result.set(network, list);
    }
  };
  for (const service of sources.labelled) {
    const { labels, ports } = service;
    const network = labels[networkLabel] ?? '';
    const port = Number(labels[gatewayPortLabel] ?? GATEWAY_PORT);
    if (network === '' || !ports.some((one) => one.port === port)) continue;
    for (const outside of outsideOf(service, port, sources.nodes)) add(network, outside.host, outside.port);
  }
  for (const [network, { gateways = [] }] of Object.entries(sources.networks.networks)) {
    for (const { address = '', registryServiceName = '', port = 0 } of gateways) {
      if (port === 0) continue;
      if (address !== '') add(network, address, port);
      const service = registryServiceName === '' ? undefined : sources.serviceOf(registryServiceName);
      if (!service) continue;
      for (const outside of outsideOf(service, port, sources.nodes)) add(network, outside.host, outside.port);
    }
  }
  return new Map(
    [...result]
      .sort(([a], [b]) => compareText(a, b))
      .map(([network, list]) => [
        network,
        [...list].sort(([a], [b]) => compareText(a, b)).map(([, gateway]) => gateway),
      ]),
  );
}

/** DNS names among the addresses of gateways, sorted: somebody has to resolve them. */
export function gatewayNames(sources: Omit<GatewaySources, 'resolved'>): readonly string[] {
  const names = new Set<string>();
  networkGateways({
    ...sources,
    resolved: (name) => {
      names.add(name);
      return [];
    },
  });
  return [...names].sort();
}

/** The network of workloads that no label names one for: an address to a network, '' where it is in none. */
export type NetworkOf = (address: string) => string;

/**
 * Which network the mesh networks put an address of this cluster into: the one that has the whole cluster, else the one with the narrowest range
 * around the address (MeshNetworks reference, `fromRegistry` and `fromCidr`). Ranges that are none are left out.
 */
export function networkLookup({ networks }: MeshNetworks, clusterId: string): NetworkOf {
  const ranges: { readonly network: string; readonly bits: number; readonly list: BlockList }[] = [];
  let whole: string | undefined;
  for (const [network, { endpoints = [] }] of Object.entries(networks).sort(([a], [b]) => compareText(a, b))) {
    for (const { fromRegistry, fromCidr = '' } of endpoints) {
      if (fromRegistry === clusterId) whole ??= network;
      const range = parseCidr(fromCidr);
      if (!range) continue;
      const list = new BlockList();
      list.addSubnet(range.address, range.bits, range.family);
      ranges.push({ network, bits: range.bits, list });
    }
  }
  if (whole !== undefined) return () => whole;
  ranges.sort((a, b) => b.bits - a.bits);
  return (address) => {
    const version = isIP(address);
    if (version === 0) return '';
    return ranges.find(({ list }) => list.check(address, version === 4 ? 'ipv4' : 'ipv6'))?.network ?? '';
  };
}

/** A range of addresses as `ADDRESS/BITS`; undefined for anything else. */
function parseCidr(
  text: string,
): { readonly address: string; readonly bits: number; readonly family: 'ipv4' | 'ipv6' } | undefined {
  const match = /^(.+)\/(\d{1,3})$/.exec(text);
  const address = match?.[1] ?? '';
  const bits = Number(match?.[2]);
  const version = isIP(address);
  if (version === 0 || bits > (version === 4 ? 32 : 128)) return undefined;
  return { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** What of the mesh networks cannot be used: field path and reason. */
export function networkProblems({
  networks,
}: MeshNetworks): readonly { readonly path: string; readonly message: string }[] {
  const problems: { path: string; message: string }[] = [];
  for (const [network, { endpoints = [], gateways = [] }] of Object.entries(networks)) {
    endpoints.forEach(({ fromCidr = '', fromRegistry = '' }, i) => {
      const path = `networks[${network}].endpoints[${i}]`;
      if (fromCidr !== '' && !parseCidr(fromCidr))
        problems.push({ path: `${path}.fromCidr`, message: `${JSON.stringify(fromCidr)} is no range of addresses` });
      if (fromCidr === '' && fromRegistry === '') problems.push({ path, message: 'needs fromCidr or fromRegistry' });
    });
    gateways.forEach(({ address = '', registryServiceName = '', port = 0 }, i) => {
      const path = `networks[${network}].gateways[${i}]`;
      if (address === '' && registryServiceName === '')
        problems.push({ path, message: 'needs address or registryServiceName' });
      if (port === 0 || port > 65_535) problems.push({ path: `${path}.port`, message: `${port} is no port` });
    });
  }
  return problems;
}
