import type { SidecarSpec } from '@istio-ts/api';
import { hostsOverlap } from './host.ts';
import type { Config, Service, VirtualService } from './model.ts';
import { byAge } from './order.ts';
import { isEmptySelector, selectorMatches } from './selector.ts';
import { destinationHosts } from './virtual-service.ts';

/**
 * The Sidecar that applies to a workload: one that selects it, else one without a selector in its namespace, else one without a selector in the
 * root namespace; the oldest of each sort (Istio documentation, Sidecar).
 */
export function sidecarFor(
  sidecars: Iterable<Config<SidecarSpec>>,
  workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  rootNamespace: string,
): Config<SidecarSpec> | undefined {
  const sorted = [...sidecars].sort(byAge);
  const selectorOf = (sidecar: Config<SidecarSpec>) => sidecar.spec.workloadSelector?.labels;
  const own = sorted.filter((sidecar) => sidecar.origin.namespace === workload.namespace);
  return (
    own.find(
      (sidecar) => !isEmptySelector(selectorOf(sidecar)) && selectorMatches(selectorOf(sidecar), workload.labels),
    ) ??
    own.find((sidecar) => isEmptySelector(selectorOf(sidecar))) ??
    sorted.find((sidecar) => sidecar.origin.namespace === rootNamespace && isEmptySelector(selectorOf(sidecar)))
  );
}

/** One entry of an egress listener's `hosts`, for example `prod/*.example.com`: `namespace` is '*' for any, `host` a host or pattern. */
export interface EgressHost {
  readonly namespace: string;
  readonly host: string;
}

/** Reads `hosts` of an egress listener: `.` is the workload's namespace, `~` nothing at all. */
export function egressHosts(hosts: readonly string[], namespace: string): readonly EgressHost[] {
  return hosts.flatMap((entry) => {
    const slash = entry.indexOf('/');
    const from = slash < 0 ? '*' : entry.slice(0, slash);
    const host = entry.slice(slash + 1).toLowerCase();
    return from === '~' ? [] : [{ namespace: from === '.' ? namespace : from, host }];
  });
}

/** Whether an egress listener's `hosts` let a service or a VirtualService's host of `namespace` in. */
export function admitsHost(patterns: readonly EgressHost[], namespace: string, host: string): boolean {
  return patterns.some(
    (pattern) => (pattern.namespace === '*' || pattern.namespace === namespace) && hostsOverlap(pattern.host, host),
  );
}

type EgressListener = NonNullable<SidecarSpec['egress']>[number];

/** What is let in through some egress listeners of a Sidecar. */
interface Admitted {
  readonly services: readonly Service[];
  readonly virtualServices: readonly VirtualService[];
}

function admittedBy(listeners: readonly EgressListener[], namespace: string, visible: Admitted): Admitted {
  const patterns = listeners.flatMap((listener) => egressHosts(listener.hosts ?? [], namespace));
  const virtualServices = visible.virtualServices.filter((config) =>
    (config.spec.hosts ?? []).some((host) => admitsHost(patterns, config.origin.namespace, host)),
  );
  // A VirtualService that is let in brings the services that it sends to.
  const reached = new Set<string>();
  for (const config of virtualServices) for (const host of destinationHosts(config.spec)) reached.add(host);
  return {
    services: visible.services.filter(
      (service) => admitsHost(patterns, service.namespace, service.hostname) || reached.has(service.hostname),
    ),
    virtualServices,
  };
}

/** What a workload with this Sidecar may see of what its namespace may see. Without egress listeners that is everything. */
export function applySidecar(
  sidecar: Config<SidecarSpec>,
  namespace: string,
  services: readonly Service[],
  virtualServices: readonly VirtualService[],
): Admitted {
  const { egress } = sidecar.spec;
  return egress?.length ? admittedBy(egress, namespace, { services, virtualServices }) : { services, virtualServices };
}

/** Whether an egress listener has a port or a socket of its own; one without is for all ports that no other speaks of. */
export const hasOwnPort = (listener: EgressListener): boolean =>
  (listener.port?.number ?? 0) !== 0 || listener.bind?.startsWith('unix://') === true;

/** An egress listener that a Sidecar gives a port or a socket of its own, and what can be reached through it. */
export interface EgressPort extends Admitted {
  readonly listener: EgressListener;
}

/** A workload's ways out: the ports that its Sidecar gives to some services, and what can be reached through all other ports. */
export interface Egress {
  readonly ports: readonly EgressPort[];
  readonly rest: Admitted;
}

/** Splits what a proxy sees (already limited to what its Sidecar lets in) among the Sidecar's egress listeners. */
export function splitEgress(sidecar: Config<SidecarSpec> | undefined, namespace: string, visible: Admitted): Egress {
  const listeners = sidecar?.spec.egress ?? [];
  const own = listeners.filter(hasOwnPort);
  if (own.length === 0) return { ports: [], rest: visible };
  const others = listeners.filter((one) => !own.includes(one));
  return {
    ports: own.map((listener) => ({ listener, ...admittedBy([listener], namespace, visible) })),
    rest: others.length === 0 ? { services: [], virtualServices: [] } : admittedBy(others, namespace, visible),
  };
}
