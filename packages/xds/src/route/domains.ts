import { isIP } from 'node:net';
import type { Service } from '@istio-ts/mesh/model';

/** Cluster domain of a proxy's DNS domain `ns.svc.cluster.local`: what follows `svc.`. */
const clusterDomain = (dnsDomain: string): string => /(?:^|\.)svc\.(.+)$/.exec(dnsDomain)?.[1] ?? 'cluster.local';

/** Names by which a proxy in `proxyNamespace` can call a cluster service, as resolv.conf's search list completes them, longest first. */
export function alternateNames(hostname: string, proxyNamespace: string, dnsDomain: string): readonly string[] {
  const suffix = `.svc.${clusterDomain(dnsDomain)}`;
  if (!hostname.endsWith(suffix) || hostname.startsWith('*')) {
    return [];
  }
  const labels = hostname.slice(0, -suffix.length);
  const dot = labels.lastIndexOf('.');
  if (dot <= 0) {
    return [];
  }
  const name = labels.slice(0, dot);
  const namespace = labels.slice(dot + 1);
  return [...(namespace === proxyNamespace ? [name] : []), `${name}.${namespace}.svc`, `${name}.${namespace}`];
}

/** An address as it stands in a Host header. */
const bracketed = (address: string): string => (isIP(address) === 6 ? `[${address}]` : address);

/**
 * Domains of the virtual host of `hostname`: the name itself, with the dot at its end, the names that the resolver's search list allows, addresses
 * of the service, and for headless services the names of its pods.
 */
export function domainsOf(
  hostname: string,
  service: Service | undefined,
  proxyNamespace: string,
  dnsDomain: string,
): readonly string[] {
  const domains = [hostname];
  if (!hostname.startsWith('*')) {
    domains.push(`${hostname}.`);
  }
  const alternates = alternateNames(hostname, proxyNamespace, dnsDomain);
  domains.push(...alternates);
  if (service?.headless === true && service.registry === 'Kubernetes' && service.hostname === hostname) {
    domains.push(...[hostname, ...alternates].map((d) => `*.${d}`));
  }
  if (service !== undefined && service.hostname === hostname) {
    domains.push(...service.addresses.filter((a) => isIP(a) !== 0).map(bracketed));
  }
  return domains;
}
