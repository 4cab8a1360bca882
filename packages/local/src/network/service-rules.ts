import { createHash } from 'node:crypto';
import type { EndpointSlice, Service } from '../controllers/kinds.ts';
import { keyOf } from '../controllers/kinds.ts';

/** What the packet filter has to know of one port of one service. */
export interface PortRules {
  /** Name of the chain; stable for a service and port. */
  readonly chain: string;
  /** `address . protocol . port` triples that lead into the chain. */
  readonly matches: readonly string[];
  /** Text of the chain's only rule; undefined when there is no endpoint and connections are to be refused. */
  readonly rule: string | undefined;
  /** Addresses of pods that may call themselves through the service. */
  readonly addresses: readonly string[];
}

type Target = { readonly address: string; readonly port: number };

const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;

/**
 * Rules of all ports of a service (Kubernetes, "Virtual IPs and Service Proxies"). Endpoints that are ready are used; without any,
 * those that still serve while they terminate. There is one node, so traffic policies `Local` and `Cluster` agree.
 */
export function serviceRules(service: Service, slices: readonly EndpointSlice[], nodeAddress: string): PortRules[] {
  const { clusterIP, externalIPs, ports, type } = service.spec;
  if (type === 'ExternalName' || clusterIP === undefined || !IPV4.test(clusterIP)) return [];
  return (ports ?? []).flatMap((port) => {
    const protocol = (port.protocol ?? 'TCP').toLowerCase();
    if (protocol !== 'tcp' && protocol !== 'udp') return [];
    const targets = portTargets(slices, port.name ?? '');
    const matches = [clusterIP, ...(externalIPs ?? []).filter((address) => IPV4.test(address))].map(
      (address) => `${address} . ${protocol} . ${port.port}`,
    );
    if (port.nodePort) matches.push(`${nodeAddress} . ${protocol} . ${port.nodePort}`);
    return [
      {
        chain: chainName(keyOf(service), protocol, port.port),
        matches,
        rule: targets.length === 0 ? undefined : balanceRule(protocol, targets, service.spec.sessionAffinity),
        addresses: targets.map((target) => target.address),
      },
    ];
  });
}

function portTargets(slices: readonly EndpointSlice[], portName: string): Target[] {
  const ready: Target[] = [];
  const leaving: Target[] = [];
  for (const slice of slices) {
    if (slice.addressType !== 'IPv4') continue;
    const port = (slice.ports ?? []).find((candidate) => (candidate.name ?? '') === portName)?.port;
    if (port === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      const list =
        endpoint.conditions?.ready !== false
          ? ready
          : endpoint.conditions.serving === true && endpoint.conditions.terminating === true
            ? leaving
            : undefined;
      if (list === undefined) continue;
      for (const address of endpoint.addresses) if (IPV4.test(address)) list.push({ address, port });
    }
  }
  const targets = ready.length > 0 ? ready : leaving;
  const seen = new Set<string>();
  return targets
    .filter(({ address, port }) => {
      const id = `${address}:${port}`;
      if (seen.has(id)) return false;
      seen.add(id);
      return true;
    })
    .sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port));
}

function balanceRule(protocol: string, targets: readonly Target[], affinity: string | undefined): string {
  const first = targets[0];
  if (targets.length === 1 && first !== undefined) {
    return `meta l4proto ${protocol} dnat ip to ${first.address}:${first.port}`;
  }
  const map = targets.map(({ address, port }, index) => `${index} : ${address} . ${port}`).join(', ');
  // With affinity a client keeps its endpoint for as long as the set of endpoints does not change.
  const pick = affinity === 'ClientIP' ? 'jhash ip saddr' : 'numgen random';
  const seed = affinity === 'ClientIP' ? ' seed 0x15710' : '';
  return `meta l4proto ${protocol} dnat ip to ${pick} mod ${targets.length}${seed} map { ${map} }`;
}

function chainName(service: string, protocol: string, port: number): string {
  return `svc-${createHash('sha256').update(`${service}/${protocol}/${port}`).digest('hex').slice(0, 16)}`;
}
