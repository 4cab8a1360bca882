import type { Pod } from '../controllers/kinds.ts';
import { nameOf, namespaceOf } from '../controllers/kinds.ts';
import { DNS_ADDRESS } from '../network/addresses.ts';

const DOMAIN = 'cluster.local';

/** Host name of a pod, at most 63 characters. */
export function podHostname(pod: Pod): string {
  const name = (pod.spec.hostname || nameOf(pod)).slice(0, 63).replace(/[-.]+$/, '');
  if (pod.spec.setHostnameAsFQDN === true && pod.spec.subdomain) {
    return `${name}.${pod.spec.subdomain}.${namespaceOf(pod)}.svc.${DOMAIN}`;
  }
  return name;
}

/** `/etc/hosts` of a pod. */
export function hostsFile(pod: Pod, podIP: string): string {
  const hostname = podHostname(pod);
  const { subdomain } = pod.spec;
  const names = subdomain ? [`${hostname}.${subdomain}.${namespaceOf(pod)}.svc.${DOMAIN}`, hostname] : [hostname];
  const lines = [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    `${podIP}\t${names.join('\t')}`,
  ];
  const aliases = (pod.spec.hostAliases ?? []).map(({ ip, hostnames }) => `${ip}\t${(hostnames ?? []).join('\t')}`);
  if (aliases.length > 0) lines.push('', '# Entries added by HostAliases.', ...aliases);
  return `${lines.join('\n')}\n`;
}

/** `/etc/resolv.conf` of a pod by its DNS policy (Kubernetes, "DNS for Services and Pods"). */
export function resolvFile(pod: Pod, hostResolv: string): string {
  const config = pod.spec.dnsConfig;
  let policy = pod.spec.dnsPolicy ?? 'ClusterFirst';
  if (policy === 'ClusterFirst' && pod.spec.hostNetwork === true) policy = 'Default';
  let nameservers: string[] = [];
  let searches: string[] = [];
  let options: string[] = [];
  if (policy === 'ClusterFirst' || policy === 'ClusterFirstWithHostNet') {
    nameservers = [DNS_ADDRESS];
    searches = [`${namespaceOf(pod)}.svc.${DOMAIN}`, `svc.${DOMAIN}`, DOMAIN];
    options = ['ndots:5'];
  } else if (policy === 'Default') {
    for (const line of hostResolv.split('\n')) {
      const [word, ...rest] = line.trim().split(/\s+/);
      if (word === 'nameserver') nameservers.push(...rest.slice(0, 1));
      else if (word === 'search') searches = rest;
      else if (word === 'options') options = rest;
    }
  }
  nameservers = unique([...nameservers, ...(config?.nameservers ?? [])]);
  searches = unique([...searches, ...(config?.searches ?? [])]);
  const merged = new Map(options.map((option) => [option.split(':')[0] ?? option, option]));
  for (const { name, value } of config?.options ?? [])
    merged.set(name, value === undefined ? name : `${name}:${value}`);
  const lines: string[] = [];
  if (searches.length > 0) lines.push(`search ${searches.join(' ')}`);
  for (const nameserver of nameservers) lines.push(`nameserver ${nameserver}`);
  if (merged.size > 0) lines.push(`options ${[...merged.values()].join(' ')}`);
  return `${lines.join('\n')}\n`;
}

function unique(list: readonly string[]): string[] {
  return [...new Set(list)];
}
