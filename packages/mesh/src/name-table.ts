import type { HeadlessPod } from './endpoints.ts';
import { isWildcard } from './host.ts';
import type { Service } from './model.ts';
import { serviceKey } from './service.ts';

/** A name that the agents of a pod answer themselves. */
export interface KnownName {
  readonly ips: readonly string[];
  readonly registry: Service['registry'];
  /** Kubernetes' name, with that of the pod in front where it is a pod's; '' for other hosts. */
  readonly shortname: string;
  readonly namespace: string;
}

/**
 * The names that a proxy's workload can resolve in the mesh, by host (Istio documentation, "DNS Proxying"): services by their addresses, headless
 * services and their pods by those of the pods, aliases by those of what they stand for. Services without an address (names that DNS outside of the
 * mesh knows) are left out, and so are ranges.
 */
export function nameTable(
  services: readonly Service[],
  serviceByHost: ReadonlyMap<string, Service>,
  podsOf: (service: string) => readonly HeadlessPod[],
): ReadonlyMap<string, KnownName> {
  const table = new Map<string, KnownName>();
  for (const service of services) {
    const { hostname, namespace, registry, name } = service;
    const entry = (ips: readonly string[], shortname: string): KnownName => ({
      ips,
      registry,
      shortname: registry === 'Kubernetes' ? shortname : '',
      namespace,
    });
    if (service.headless) {
      const pods = podsOf(serviceKey(service));
      if (pods.length > 0) table.set(hostname, entry(sortedAddresses(pods), name));
      for (const pod of pods) {
        if (pod.hostname === '') continue;
        const host = `${pod.hostname}.${hostname}`;
        table.set(host, entry([...(table.get(host)?.ips ?? []), ...pod.addresses], `${pod.hostname}.${name}`));
      }
      continue;
    }
    const target = service.resolution === 'alias' ? aliased(service, serviceByHost) : service;
    const ips = (target?.addresses ?? []).flatMap(singleAddress);
    if (ips.length > 0) table.set(hostname, entry(ips, name));
  }
  return table;
}

const sortedAddresses = (pods: readonly HeadlessPod[]): readonly string[] =>
  [...new Set(pods.flatMap(({ addresses }) => addresses))].sort();

/** What an alias stands for in the end, within the mesh. */
function aliased(service: Service, serviceByHost: ReadonlyMap<string, Service>): Service | undefined {
  let current: Service | undefined = service;
  for (let steps = 0; current?.resolution === 'alias' && steps < 10; steps++)
    current = serviceByHost.get(current.externalName ?? '');
  return current?.resolution === 'alias' || (current && isWildcard(current.hostname)) ? undefined : current;
}

/** An address; one that is written as a range of itself alone too. Unspecified addresses and wider ranges are none that a client could dial. */
function singleAddress(address: string): readonly string[] {
  const [ip = '', bits] = address.split('/');
  if (bits !== undefined && bits !== (ip.includes(':') ? '128' : '32')) return [];
  return ip === '0.0.0.0' || ip === '::' ? [] : [ip];
}
