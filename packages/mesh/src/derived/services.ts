import { type Collection, join, map, mapMany } from '@istio-ts/collections';
import { trustDomainOf } from '../mesh-config.ts';
import type { Service } from '../model.ts';
import { kubernetesService, serviceKey } from '../service.ts';
import { serviceEntryServices } from '../service-entry.ts';
import type { MeshSources } from '../sources.ts';

/** Services by `namespace/hostname`, of both registries: Services of Kubernetes and ServiceEntries. `domainSuffix` is that of the cluster's DNS. */
export function createServices(sources: MeshSources, domainSuffix: string): Collection<Service> {
  const { meshConfig } = sources;
  const kubernetes = map(
    sources.services,
    (facts, _key, fetch) => {
      const config = fetch.value(meshConfig);
      return kubernetesService(facts, config, domainSuffix, trustDomainOf(config));
    },
    { name: 'services of Kubernetes' },
  );
  const byHost = mapMany(kubernetes, (service) => [[serviceKey(service), service] as const], {
    name: 'services of Kubernetes by host',
  });
  const external = mapMany(
    sources.configs('ServiceEntry'),
    (entry, _key, fetch) =>
      serviceEntryServices(
        entry,
        fetch.value(meshConfig),
        () => fetch.get(sources.namespaces, entry.origin.namespace)?.labels ?? {},
      ).map((service) => [serviceKey(service), service] as const),
    { name: 'services of ServiceEntries' },
  );
  return join([byHost, external], { name: 'services' });
}
