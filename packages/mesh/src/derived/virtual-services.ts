import { cell, type Collection, map } from '@istio-ts/collections';
import type { VirtualService } from '../model.ts';
import { type MeshSources, objectKey } from '../sources.ts';
import { resolveVirtualService } from '../virtual-service.ts';

/** VirtualServices by `namespace/name`, with their delegates' routes in them. `domainSuffix` is that of the cluster's DNS. */
export function createVirtualServices(sources: MeshSources, domainSuffix: string): Collection<VirtualService> {
  const { graph, meshConfig } = sources;
  const rawVirtualServices = sources.configs('VirtualService');
  const defaultVirtualServiceExport = cell(
    graph,
    (fetch) => fetch.value(meshConfig).defaultVirtualServiceExportTo ?? [],
    { name: 'default export of VirtualServices' },
  );
  return map(
    rawVirtualServices,
    (config, _key, fetch) =>
      resolveVirtualService(
        config,
        (namespace, name) => fetch.get(rawVirtualServices, objectKey(namespace, name)),
        domainSuffix,
        fetch.value(defaultVirtualServiceExport),
      ),
    { name: 'resolved VirtualServices' },
  );
}
