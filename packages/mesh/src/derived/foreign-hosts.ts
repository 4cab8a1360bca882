import { type Collection, type Fetch, index, join, map, mapMany } from '@istio-ts/collections';
import { hostCovers, isWildcard } from '../host.ts';
import { rootNamespaceOf } from '../mesh-config.ts';
import type { Origin, Service, VirtualService } from '../model.ts';
import type { MeshSources } from '../sources.ts';
import { meshGateway } from '../virtual-service.ts';
import { visibilityOf, visibleTo } from '../visibility.ts';

/** A host of an object that is the host of another namespace's service. */
export interface ForeignHost {
  readonly origin: Origin;
  /** For example `spec.hosts[0]`. */
  readonly path: string;
  readonly host: string;
  /** Namespace of the service. */
  readonly owner: string;
}

/**
 * Hosts that VirtualServices and ServiceEntries claim of other namespaces, as far as those see the object; by `Kind/namespace/name`. The root namespace
 * speaks for all. A wildcard is told once, with the first service that it covers.
 */
export function createForeignHosts(
  sources: MeshSources,
  virtualServices: Collection<VirtualService>,
  services: Collection<Service>,
): Collection<readonly ForeignHost[]> {
  const { meshConfig } = sources;
  const byHost = index(services, ({ hostname }) => [hostname], { name: 'services by host' });
  const foreign = (
    origin: Origin,
    hosts: readonly string[],
    exportTo: Parameters<typeof visibleTo>[0],
    fetch: Fetch,
    counts: (service: Service, claimant: Origin, fetch: Fetch) => boolean,
  ): readonly ForeignHost[] =>
    hosts.flatMap((host, i) => {
      const found = isWildcard(host)
        ? [...fetch.all(byHost)].flatMap(([hostname, list]) => (hostCovers(host, hostname) ? list : []))
        : (fetch.get(byHost, host) ?? []);
      const owner = found
        .filter(
          (one) =>
            one.namespace !== origin.namespace && visibleTo(exportTo, one.namespace) && counts(one, origin, fetch),
        )
        .map(({ namespace }) => namespace)
        .sort()[0];
      return owner === undefined ? [] : [{ origin, path: `spec.hosts[${i}]`, host, owner }];
    });
  // Of ServiceEntries of several namespaces for one host each may be the first; a Service of Kubernetes has its host to itself.
  const isAnothers = ({ registry, hostname }: Service, { namespace }: Origin, fetch: Fetch): boolean =>
    registry === 'Kubernetes' || fetch.get(services, `${namespace}/${hostname}`) === undefined;
  const keyed = (kind: string, claims: Collection<readonly ForeignHost[]>): Collection<readonly ForeignHost[]> =>
    mapMany(claims, (list, key) => [[`${kind}/${key}`, list] as const], { name: `foreign hosts of ${kind}s by key` });
  const routed = map(
    virtualServices,
    ({ origin, spec }, _key, fetch) => {
      const config = fetch.value(meshConfig);
      if (origin.namespace === rootNamespaceOf(config)) return undefined;
      if (!(spec.gateways ?? [meshGateway]).includes(meshGateway)) return undefined;
      const exportTo = visibilityOf(spec.exportTo, config.defaultVirtualServiceExportTo, origin.namespace);
      const claims = foreign(origin, spec.hosts ?? [], exportTo, fetch, isAnothers);
      return claims.length > 0 ? claims : undefined;
    },
    { name: 'foreign hosts of VirtualServices' },
  );
  const defined = map(
    sources.configs('ServiceEntry'),
    ({ origin, spec }, _key, fetch) => {
      const config = fetch.value(meshConfig);
      if (origin.namespace === rootNamespaceOf(config)) return undefined;
      const exportTo = visibilityOf(spec.exportTo, config.defaultServiceExportTo, origin.namespace);
      // A wildcard is less than any host that it covers.
      const hosts = spec.hosts.map((host) => (isWildcard(host) ? '' : host));
      const claims = foreign(origin, hosts, exportTo, fetch, ({ registry }) => registry === 'Kubernetes');
      return claims.length > 0 ? claims : undefined;
    },
    { name: 'foreign hosts of ServiceEntries' },
  );
  return join([keyed('VirtualService', routed), keyed('ServiceEntry', defined)], { name: 'foreign hosts' });
}
