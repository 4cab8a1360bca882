import type { ServiceEntrySpec } from '@istio-ts/api';
import { isWildcard } from './host.ts';
import type { Config, Service } from './model.ts';

/** Label that keeps istiod from giving addresses to a ServiceEntry (`false`), or asks for them (`true`). */
export const autoAllocateLabel = 'networking.istio.io/enable-autoallocate-ip';

/**
 * Whether istiod gives addresses to the hosts of a ServiceEntry: it has none, its endpoints are found in a way that does not need the address that
 * the client dialled, and every host is one name (Istio documentation, "DNS Proxying", address auto allocation).
 */
export function wantsAutoAddresses(entry: Pick<Config<ServiceEntrySpec>, 'labels' | 'spec'>): boolean {
  const { labels, spec } = entry;
  if (labels[autoAllocateLabel]?.toLowerCase() === 'false') return false;
  return (
    (spec.resolution ?? 'NONE') !== 'NONE' &&
    (spec.addresses ?? []).length === 0 &&
    (spec.hosts ?? []).every((host) => !isWildcard(host))
  );
}

/** The addresses that a host of a ServiceEntry got, IPv4 first; none where it does not want any (any more). */
export function autoAddressesOf(entry: Config<ServiceEntrySpec>, host: string): readonly string[] {
  if (!wantsAutoAddresses(entry)) return [];
  return (entry.status?.addresses ?? [])
    .filter((address) => address.host === host || address.host === '')
    .map((address) => address.value)
    .sort((a, b) => Number(a.includes(':')) - Number(b.includes(':')));
}

const dialled = new WeakMap<Service, Service>();

/** The service as a proxy sees it whose agent answers DNS: the addresses that istiod gave it are its addresses. The same object for the same service. */
export function withAutoAddresses(service: Service): Service {
  if (!service.autoAddresses || service.addresses.length > 0) return service;
  const known = dialled.get(service);
  if (known) return known;
  const made: Service = { ...service, addresses: service.autoAddresses };
  dialled.set(service, made);
  return made;
}
