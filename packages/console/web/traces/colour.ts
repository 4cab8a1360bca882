/** Names as `service.namespace` without the namespace, when all are of the same one. */
export function shortNames(services: Iterable<string>): (service: string) => string {
  const namespaces = new Set([...services].map((service) => service.split('.').slice(1).join('.')));
  return namespaces.size === 1 ? (service) => service.split('.')[0] ?? service : (service) => service;
}

/** A service has the same colour everywhere on a page: by its place in the sorted names. */
export function serviceColours(services: Iterable<string>): ReadonlyMap<string, number> {
  return new Map([...new Set(services)].sort().map((service, index) => [service, (index % 8) + 1]));
}
