/** The full name of a host in configuration of a namespace: short names are of that namespace (Istio, "Destination"). */
export function fullHost(host: string, namespace: string, domainSuffix: string): string {
  if (host.includes('.') || host.startsWith('*') || host === '') return host.toLowerCase();
  return `${host}.${namespace}.svc.${domainSuffix}`.toLowerCase();
}

/** Name and namespace of a service of Kubernetes by its full name; undefined for other hosts. */
export function serviceOf(
  host: string,
  domainSuffix: string,
): { readonly name: string; readonly namespace: string } | undefined {
  const end = `.svc.${domainSuffix}`;
  const names = host.endsWith(end) ? host.slice(0, -end.length) : host.endsWith('.svc') ? host.slice(0, -4) : undefined;
  const [name, namespace, ...more] = (names ?? '').split('.');
  return name && namespace && more.length === 0 ? { name, namespace } : undefined;
}

/** Whether a host of configuration, which may begin with `*`, stands for this one. */
export function matchesHost(pattern: string, host: string): boolean {
  if (pattern === host || pattern === '*') return true;
  return pattern.startsWith('*') && host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1;
}
