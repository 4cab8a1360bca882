import { type Cell, cell, type Fetch, map } from '@istio-ts/collections';
import { rootNamespaceOf } from '../mesh-config.ts';
import type { MeshOptions } from '../mesh-options.ts';
import {
  gatewayNames,
  type NetworkGateways,
  type NetworkOf,
  networkGateways,
  networkLabel,
  networkLookup,
} from '../networks.ts';
import { type MeshSources, objectKey } from '../sources.ts';

/**
 * The network of workloads that no label of their own or of their namespace names one for: that of the control plane's namespace, else what the mesh
 * networks say of the cluster and of the address.
 */
export function createNetworkOf(
  sources: MeshSources,
  options: Pick<MeshOptions, 'clusterId' | 'network'>,
): Cell<NetworkOf> {
  const ofCluster = cell(
    sources.graph,
    (fetch) => {
      const root = rootNamespaceOf(fetch.value(sources.meshConfig));
      return fetch.get(sources.namespaces, root)?.labels[networkLabel] || options.network;
    },
    { name: 'network of the cluster' },
  );
  return cell(
    sources.graph,
    (fetch): NetworkOf => {
      const network = fetch.value(ofCluster);
      return network === '' ? networkLookup(fetch.value(sources.meshNetworks), options.clusterId) : () => network;
    },
    { name: 'networks of addresses' },
  );
}

/** Gateways into other networks, and the DNS names among their addresses. `domainSuffix` is that of the cluster's DNS. */
export function createNetworkGateways(
  sources: MeshSources,
  domainSuffix: string,
): { readonly networkGateways: Cell<NetworkGateways>; readonly gatewayNames: Cell<readonly string[]> } {
  // Hardly any Service is a network's gateway: the others are not looked at again.
  const networkServices = map(
    sources.services,
    (service) => (service.labels[networkLabel] === undefined ? undefined : service),
    { name: 'services that lead into networks' },
  );
  const gatewaySources = (fetch: Fetch) => ({
    labelled: fetch.all(networkServices).values(),
    networks: fetch.value(sources.meshNetworks),
    nodes: () => fetch.all(sources.nodes).values(),
    serviceOf: (host: string) => {
      const [name = '', namespace = '', ...rest] = host.toLowerCase().split('.');
      const isService = rest.length === 0 || rest.join('.') === `svc.${domainSuffix}`;
      return isService ? fetch.get(sources.services, objectKey(namespace, name)) : undefined;
    },
  });
  return {
    networkGateways: cell(
      sources.graph,
      (fetch) =>
        networkGateways({ ...gatewaySources(fetch), resolved: (name) => fetch.get(sources.resolvedNames, name) ?? [] }),
      { name: 'gateways of networks' },
    ),
    gatewayNames: cell(sources.graph, (fetch) => gatewayNames(gatewaySources(fetch)), {
      name: 'names of gateways of networks',
    }),
  };
}
