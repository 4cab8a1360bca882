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

interface Remembered {
  readonly hosts: readonly VirtualHost[];
  readonly origins: readonly Origin[];
  readonly generated: Generated<RouteConfiguration>;
}

/** Route configurations by their first virtual host; the few variants behind one differ by what else a proxy may see. */
const remembered = new WeakMap<VirtualHost, Map<string, Remembered[]>>();
const MAX_VARIANTS = 16;

const sameItems = <T>(a: readonly T[], b: readonly T[]): boolean =>
  a.length === b.length && a.every((item, i) => item === b[i]);

/** A route configuration; the identical object as long as it is made of the identical virtual hosts. */
export function routeConfiguration(
  name: string,
  hosts: readonly VirtualHost[],
  origins: Iterable<Origin>,
): Generated<RouteConfiguration> {
  const unique = uniqueOrigins(origins);
  const make = (): Generated<RouteConfiguration> => ({
    resource: {
      name,
      virtualHosts: hosts,
      // A destination whose cluster is missing is answered with 503 by its own route instead of refusing the whole table.
      validateClusters: false,
      maxDirectResponseBodySizeBytes: MAX_DIRECT_RESPONSE_BYTES,
      ignorePortInHostMatching: true,
    },
    origins: unique,
  });
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
