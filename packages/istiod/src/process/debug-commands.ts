import type { Mesh, MeshSources } from '@istio-ts/mesh';
import type { Engine } from '@istio-ts/xds';
import { istioTypes } from '@istio-ts/api/resource-types';
import { configKinds } from '../config/config-kinds.ts';
import type { Distribution } from './config-distribution.ts';
import { registryEndpoints, registryService } from './registry-view.ts';

/** The debug commands that show the mesh as istiod knows it (istio-surface.md, Debug endpoints). Certificates are not among what they show. */
export function debugCommands(mesh: Mesh, sources: MeshSources, engine: Engine, clusterId: string) {
  return {
    registryz: {
      help: 'All services',
      run: () => [...mesh.services.values()].map((service) => registryService(service, clusterId)),
    },
    endpointz: {
      help: 'Endpoints of all services',
      run: () =>
        [...mesh.endpoints.entries()].flatMap(([key, endpoints]) => {
          const service = mesh.services.get(key);
          return service === undefined ? [] : registryEndpoints(endpoints, service, clusterId);
        }),
    },
    instancesz: { help: 'All workloads', run: () => [...mesh.workloads.values()] },
    configz: {
      help: 'All configuration of Istio that is in force',
      run: () =>
        configKinds.flatMap((kind) => {
          const { group, version } = istioTypes[kind];
          return [...sources.configs(kind).values()].map(({ origin, labels, annotations, createdAt, spec }) => ({
            kind,
            apiVersion: `${group}/${version}`,
            metadata: {
              name: origin.name,
              namespace: origin.namespace,
              creationTimestamp: new Date(createdAt).toISOString(),
              labels,
              annotations,
            },
            spec,
          }));
        }),
    },
    problemsz: { help: 'Objects that are ignored, and why', run: () => [...mesh.problems.values()].flat() },
    mesh: { help: 'The mesh configuration in force', run: () => mesh.config.current },
    cachez: { help: 'Classes of proxies with the same configuration, and what they share', run: () => engine.state() },
  } as const;
}

/** The debug commands about clusters and about the way of changes to the proxies. Only the cluster that istiod runs in is watched. */
export function deliveryCommands(options: {
  readonly clusterId: string;
  readonly synced: () => boolean;
  readonly distribution: { readonly of: (resource: string) => Distribution };
}) {
  return {
    clusterz: {
      help: 'Clusters that this istiod watches',
      run: () => [{ id: options.clusterId, secretName: '', syncStatus: options.synced() ? 'synced' : 'syncing' }],
    },
    config_distribution: {
      help: 'Which version of an object (resource=KIND/NAMESPACE/NAME) is in force, and which proxies have confirmed everything',
      run: (query: URLSearchParams) => options.distribution.of(query.get('resource') ?? ''),
    },
  } as const;
}
