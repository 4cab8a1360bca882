/** A service has the same colour everywhere on a page: by its place in the sorted names. */
export function serviceColours(services: Iterable<string>): ReadonlyMap<string, number> {
  return new Map([...new Set(services)].sort().map((service, index) => [service, (index % 8) + 1]));
}
