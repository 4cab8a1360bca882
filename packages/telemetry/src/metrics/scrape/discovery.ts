import type { KubeClient, KubeObject, ResourceType, Watch } from '@istio-ts/kube';
import type { DiscoveryRole, KubernetesDiscovery } from './config.ts';
import type { EndpointsObject, NodeObject, PodObject, ServiceObject } from './kubernetes-objects.ts';
import {
  type DiscoveredLabels,
  endpointsTargets,
  nodeTargets,
  podTargets,
  serviceTargets,
} from './kubernetes-targets.ts';

const core = (resource: string, kind: string, namespaced = true): ResourceType => ({
  group: '',
  version: 'v1',
  resource,
  kind,
  namespaced,
});
const types = {
  pod: core('pods', 'Pod'),
  service: core('services', 'Service'),
  endpoints: core('endpoints', 'Endpoints'),
  node: core('nodes', 'Node', false),
} as const satisfies Record<DiscoveryRole, ResourceType>;

/** Which kinds a role reads: endpoints take labels from their services and pods. */
const needs: Readonly<Record<DiscoveryRole, readonly DiscoveryRole[]>> = {
  pod: ['pod'],
  service: ['service'],
  endpoints: ['endpoints', 'service', 'pod'],
  node: ['node'],
};

export interface Discovery {
  /** What is there now for an entry of the configuration. */
  targets(discovery: KubernetesDiscovery): DiscoveredLabels[];
  close(): void;
}

/**
 * Watches what the entries of a configuration need, each kind once for the same namespaces and selectors. `onChange` is called when targets may have
 * changed, `onError` for each interruption.
 */
export function watchKubernetes(
  client: KubeClient,
  ownNamespace: string,
  discoveries: readonly KubernetesDiscovery[],
  onChange: () => void,
  onError: (error: Error) => void,
): Discovery {
  const stores = new Map<string, Map<string, KubeObject>>();
  const watches: Watch[] = [];

  const namespacesOf = ({ namespaces, ownNamespace: own }: KubernetesDiscovery): readonly (string | undefined)[] => {
    const all = [...new Set([...namespaces, ...(own ? [ownNamespace] : [])])];
    return all.length === 0 ? [undefined] : all;
  };
  const keyOf = (discovery: KubernetesDiscovery, kind: DiscoveryRole, namespace: string | undefined): string =>
    JSON.stringify([
      kind,
      namespace,
      kind === discovery.role ? discovery.labelSelector : undefined,
      kind === discovery.role ? discovery.fieldSelector : undefined,
    ]);

  for (const discovery of discoveries)
    for (const kind of needs[discovery.role])
      for (const namespace of kind === 'node' ? [undefined] : namespacesOf(discovery)) {
        const key = keyOf(discovery, kind, namespace);
        if (stores.has(key)) continue;
        const objects = new Map<string, KubeObject>();
        stores.set(key, objects);
        const { labelSelector, fieldSelector } = discovery;
        watches.push(
          client.watch(
            types[kind],
            {
              dropManagedFields: true,
              ...(namespace !== undefined && { namespace }),
              ...(kind === discovery.role && labelSelector !== undefined && { labelSelector }),
              ...(kind === discovery.role && fieldSelector !== undefined && { fieldSelector }),
            },
            (event) => {
              if (event.type !== 'SYNCED') {
                const { namespace: of = '', name = '' } = event.object.metadata;
                if (event.type === 'DELETED') objects.delete(`${of}/${name}`);
                else objects.set(`${of}/${name}`, event.object);
              }
              onChange();
            },
            onError,
          ),
        );
      }

  // The API server answers with objects of the kind that was asked for.
  const objectsOf = <T>(discovery: KubernetesDiscovery, kind: DiscoveryRole): ReadonlyMap<string, T> =>
    new Map(
      (kind === 'node' ? [undefined] : namespacesOf(discovery)).flatMap((namespace) => [
        ...(stores.get(keyOf(discovery, kind, namespace)) ?? []),
      ]) as [string, T][],
    );

  return {
    targets: (discovery) => {
      switch (discovery.role) {
        case 'pod':
          return [...objectsOf<PodObject>(discovery, 'pod').values()].flatMap(podTargets);
        case 'service':
          return [...objectsOf<ServiceObject>(discovery, 'service').values()].flatMap(serviceTargets);
        case 'node':
          return [...objectsOf<NodeObject>(discovery, 'node').values()].flatMap(nodeTargets);
        case 'endpoints': {
          const services = objectsOf<ServiceObject>(discovery, 'service');
          const pods = objectsOf<PodObject>(discovery, 'pod');
          return [...objectsOf<EndpointsObject>(discovery, 'endpoints')].flatMap(([key, endpoints]) =>
            endpointsTargets(endpoints, services.get(key), (namespace, name) => pods.get(`${namespace}/${name}`)),
          );
        }
        default:
          return discovery.role satisfies never;
      }
    },
    close: () => {
      for (const watch of watches) watch.close();
    },
  };
}
