import type { Route, RouteConfiguration, VirtualHost } from '@istio-ts/envoy';
import type { Origin } from '@istio-ts/mesh/model';
import { type Generated, uniqueOrigins } from '../generated.ts';
import { memoByInputs } from '../memo.ts';

/** All that a virtual host is made of. */
export interface VirtualHostInput {
  /** `HOST:PORT`; no `/` in it (virtual host discovery). */
  readonly name: string;
  readonly domains: readonly string[];
  /** Kept by identity: an unchanged list gives the identical virtual host. */
  readonly routes: readonly Route[];
  /** Redirects plain HTTP to HTTPS. */
  readonly requireTls?: boolean;
}

/** One virtual host. Its name goes to the application in `x-envoy-attempt-count` requests as Istio does. */
export const virtualHost = memoByInputs(
  ({ routes, name, domains, requireTls }: VirtualHostInput) => [routes, name, domains.join(' '), requireTls === true],
  ({ name, domains, routes, requireTls }): VirtualHost => ({
    name,
    domains,
    ...(routes.length > 0 ? { routes } : {}),
    ...(requireTls === true ? { requireTls: 'ALL' } : {}),
    includeRequestAttemptCount: true,
  }),
);

/** Direct responses of VirtualServices may be this long (Istio's documented limit of 1 MB). */
const MAX_DIRECT_RESPONSE_BYTES = 1_048_576;

const routeTable = (name: string, hosts: readonly VirtualHost[]): RouteConfiguration => ({
  name,
  virtualHosts: hosts,
  // A destination whose cluster is missing is answered with 503 by its own route instead of refusing the whole table.
  validateClusters: false,
  maxDirectResponseBodySizeBytes: MAX_DIRECT_RESPONSE_BYTES,
  ignorePortInHostMatching: true,
});

const tables = new WeakMap<VirtualHost, Map<string, RouteConfiguration[]>>();

/** The identical table for the identical hosts, as long as few others came between. */
function sameTable(name: string, hosts: readonly VirtualHost[]): RouteConfiguration {
  const [first] = hosts;
  if (first === undefined) return routeTable(name, hosts);
  const byName = tables.get(first) ?? new Map<string, RouteConfiguration[]>();
  tables.set(first, byName);
  const variants = byName.get(name) ?? [];
  const found = variants.find((table) => sameItems(table.virtualHosts ?? [], hosts));
  if (found !== undefined) return found;
  const made = routeTable(name, hosts);
  byName.set(name, [made, ...variants.slice(0, MAX_VARIANTS - 1)]);
  return made;
}

const originsOfHosts = new WeakMap<VirtualHost, readonly Origin[]>();

/** Notes where a virtual host comes from. */
export function noteOrigins(host: VirtualHost, origins: readonly Origin[]): void {
  originsOfHosts.set(host, origins);
}

/** Where a virtual host comes from, as far as it was noted. */
export const originsOfHost = (host: VirtualHost): readonly Origin[] => uniqueOrigins(originsOfHosts.get(host) ?? []);

/** A route configuration; who asks for its origins pays for finding them. */
export function lazyRouteConfiguration(
  name: string,
  hosts: readonly VirtualHost[],
  origins: () => Iterable<Origin>,
): Generated<RouteConfiguration> {
  let found: readonly Origin[] | undefined;
  return {
    resource: sameTable(name, hosts),
    get origins() {
      found ??= uniqueOrigins(origins());
      return found;
    },
  };
}

const MAX_VARIANTS = 16;

interface Remembered {
  readonly hosts: readonly VirtualHost[];
  readonly origins: readonly Origin[];
  readonly generated: Generated<RouteConfiguration>;
}

/** Route configurations by their first virtual host; the few variants behind one differ by what else a proxy may see. */
const remembered = new WeakMap<VirtualHost, Map<string, Remembered[]>>();

const sameItems = <T>(a: readonly T[], b: readonly T[]): boolean =>
  a.length === b.length && a.every((item, i) => item === b[i]);

/** A route configuration; the identical object as long as it is made of the identical virtual hosts. */
export function routeConfiguration(
  name: string,
  hosts: readonly VirtualHost[],
  origins: Iterable<Origin>,
): Generated<RouteConfiguration> {
  const unique = uniqueOrigins(origins);
  const make = (): Generated<RouteConfiguration> => ({ resource: routeTable(name, hosts), origins: unique });
  const [first] = hosts;
  if (first === undefined) {
    return make();
  }
  let byName = remembered.get(first);
  if (byName === undefined) {
    byName = new Map();
    remembered.set(first, byName);
  }
  const variants = byName.get(name) ?? [];
  const found = variants.find((v) => sameItems(v.hosts, hosts) && sameItems(v.origins, unique));
  if (found !== undefined) {
    return found.generated;
  }
  const generated = make();
  byName.set(name, [{ hosts, origins: unique, generated }, ...variants.slice(0, MAX_VARIANTS - 1)]);
  return generated;
}
