import { fields, text } from '@istio-ts/mesh/kubernetes/read';
import type { Analyzer } from '../analyzer.ts';

/** Mesh networks that refer to clusters that nobody knows. */
export const meshNetworks: Analyzer = {
  name: 'meshnetworks.MeshNetworksAnalyzer',
  description: 'Finds networks of the mesh that refer to the registry of an unknown cluster',
  inputs: ['ConfigMap', 'Secret'],
  run: (context) => {
    const { istioNamespace, meshNetworks: networks, clusters } = context.snapshot;
    // A remote secret holds a kubeconfig under the name of its cluster.
    const remote = context
      .objects('Secret')
      .filter((secret) => secret.namespace === istioNamespace && secret.labels['istio/multiCluster'] === 'true')
      .flatMap((secret) => [
        ...Object.keys(fields(secret.object.data)),
        text(secret.annotations['networking.istio.io/cluster']),
      ]);
    const known = new Set(['Kubernetes', ...clusters, ...remote]);
    const map = context
      .objects('ConfigMap')
      .find(({ namespace, name }) => namespace === istioNamespace && /^istio(-.+)?$/.test(name));
    for (const [network, { endpoints = [] }] of Object.entries(networks.networks))
      for (const { fromRegistry = '' } of endpoints)
        if (fromRegistry !== '' && !known.has(fromRegistry))
          context.report(map, 'UnknownMeshNetworksServiceRegistry', { serviceregistry: fromRegistry, network });
  },
};
