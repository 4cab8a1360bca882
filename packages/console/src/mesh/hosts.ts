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

/** Finds what is kept under hosts of configuration, some of which begin with `*`: as many as there are must not be looked at for each host that is asked. */
export class ByHost<T> {
  readonly #exact = new Map<string, T[]>();
  readonly #patterns: { readonly host: string; readonly value: T }[] = [];

  add(host: string, value: T): void {
    if (host.startsWith('*')) {
      this.#patterns.push({ host, value });
      return;
    }
    const found = this.#exact.get(host);
    if (found) found.push(value);
    else this.#exact.set(host, [value]);
  }

  /** Those of exactly this host first, then those whose pattern fits it, each in the order that they were added in. */
  find(host: string): readonly T[] {
    const exact = this.#exact.get(host) ?? [];
    if (this.#patterns.length === 0) return exact;
    return [...exact, ...this.#patterns.filter((each) => matchesHost(each.host, host)).map(({ value }) => value)];
  }
}

/** Whether a host of configuration, which may begin with `*`, stands for this one. */
export function matchesHost(pattern: string, host: string): boolean {
  if (pattern === host || pattern === '*') return true;
  return pattern.startsWith('*') && host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1;
}
