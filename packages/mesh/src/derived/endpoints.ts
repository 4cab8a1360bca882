import type { PeerAuthenticationSpec } from '@istio-ts/api';
import { type Cell, type Collection, index, map } from '@istio-ts/collections';
import { type EndpointContext, listedEndpoints, selectedEndpoints, sliceEndpoints } from '../endpoints.ts';
import { rootNamespaceOf, trustDomainOf } from '../mesh-config.ts';
import type { MeshOptions } from '../mesh-options.ts';
import type { Config, Endpoint, Service, ServiceEndpoints, Workload } from '../model.ts';
import type { NetworkOf } from '../networks.ts';
import { effectivePeerAuthentication } from '../peer-authentication.ts';
import { selectorMatches } from '../selector.ts';
import { type MeshSources, objectKey } from '../sources.ts';
import { entryIsReady } from '../workload.ts';

interface EndpointInputs {
  readonly services: Collection<Service>;
  readonly workloads: Collection<Workload>;
  readonly workloadsByAddress: Collection<readonly Workload[]>;
  readonly peerAuthentications: Collection<readonly Config<PeerAuthenticationSpec>[]>;
  readonly networkOf: Cell<NetworkOf>;
}

/** Endpoints of all services, by `namespace/hostname`. */
export function createEndpoints(
  sources: MeshSources,
  options: Pick<MeshOptions, 'clusterId' | 'servicesSelectEntries' | 'entriesSelectPods'>,
  inputs: EndpointInputs,
): Collection<ServiceEndpoints> {
  const { services, workloads, workloadsByAddress, peerAuthentications, networkOf } = inputs;
  const slices = index(
    sources.endpointSlices,
    (slice) => (slice.service === '' ? [] : [objectKey(slice.namespace, slice.service)]),
    {
      name: 'endpoint slices by service',
    },
  );
  const entries = sources.configs('WorkloadEntry');
  const serviceEntries = sources.configs('ServiceEntry');
  const workloadsByNamespace = index(workloads, (workload) => [workload.namespace], { name: 'workloads by namespace' });
  const entryWorkloads = index(
    workloads,
    (workload) => (workload.origin.kind === 'WorkloadEntry' ? [workload.namespace] : []),
    {
      name: 'WorkloadEntries by namespace',
    },
  );
  // Hardly any mesh turns mutual TLS off by policy; endpoints depend on the policies of namespaces that do.
  const disabling = map(
    peerAuthentications,
    (policies) => (policies.some(({ spec }) => turnsOff(spec)) ? policies : undefined),
    { name: 'PeerAuthentications of namespaces that turn mutual TLS off' },
  );

  return map(
    services,
    (service, _key, fetch) => {
      const config = fetch.value(sources.meshConfig);
      const root = rootNamespaceOf(config);
      const context: EndpointContext = {
        trustDomain: trustDomainOf(config),
        clusterId: options.clusterId,
        networkOf: fetch.value(networkOf),
        mutualTlsDisabled: (workload, port) => {
          const off = [root, workload.namespace].some((namespace) => fetch.get(disabling, namespace) !== undefined);
          if (!off) return false;
          const policies = [...new Set([root, workload.namespace])].flatMap(
            (namespace) => fetch.get(peerAuthentications, namespace) ?? [],
          );
          const effective = effectivePeerAuthentication(policies, workload, root);
          return (effective.portModes.get(port) ?? effective.mode) === 'DISABLE';
        },
      };
      const selected = (candidates: readonly Workload[], selector: Readonly<Record<string, string>>) =>
        selectedEndpoints(
          service,
          candidates
            .filter((workload) => selectorMatches(selector, workload.labels))
            .map((workload) => {
              const key = objectKey(workload.namespace, workload.name);
              if (workload.origin.kind === 'WorkloadEntry') {
                const entry = fetch.get(entries, key);
                return { workload, ready: entry !== undefined && entryIsReady(entry), entry: entry?.spec };
              }
              const pod = fetch.get(sources.pods, key);
              return { workload, ready: pod?.ready === true && !pod.terminating, entry: undefined };
            }),
          context,
        );

      let endpoints: readonly Endpoint[];
      if (service.registry === 'Kubernetes') {
        const name = objectKey(service.namespace, service.name);
        endpoints = sliceEndpoints(
          service,
          fetch.get(slices, name) ?? [],
          fetch.get(sources.services, name)?.publishNotReadyAddresses === true,
          fetch.get(sources.services, name)?.ipFamilies[0] === 'IPv6',
          (namespace, pod) => fetch.get(workloads, `Pod/${namespace}/${pod}`),
          (address) => fetch.get(workloadsByAddress, address)?.[0],
          context,
        );
        if (service.selector && options.servicesSelectEntries !== false) {
          const machines = fetch.get(entryWorkloads, service.namespace);
          if (machines) endpoints = [...endpoints, ...selected(machines, service.selector)];
        }
      } else {
        const entry = fetch.get(serviceEntries, objectKey(service.namespace, service.name));
        endpoints =
          service.selector && !entry?.spec.endpoints?.length
            ? selected(
                (fetch.get(workloadsByNamespace, service.namespace) ?? []).filter(
                  ({ origin }) => options.entriesSelectPods !== false || origin.kind !== 'Pod',
                ),
                service.selector,
              )
            : entry
              ? listedEndpoints(service, entry, context)
              : [];
      }
      return { hostname: service.hostname, namespace: service.namespace, endpoints };
    },
    { name: 'endpoints' },
  );
}

const turnsOff = (spec: PeerAuthenticationSpec): boolean =>
  spec.mtls?.mode === 'DISABLE' || Object.values(spec.portLevelMtls ?? {}).some((mtls) => mtls?.mode === 'DISABLE');
