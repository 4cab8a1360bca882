import type { Cluster } from '@istio-ts/envoy';
import type { MergedDestinationRule, ProxyScope, Service, ServicePort } from '@istio-ts/mesh/model';
import type { EndpointTarget } from '../cluster/index.ts';
import { buildOutboundCluster } from '../cluster/outbound.ts';
import type { Subset } from '../cluster/traffic-policy.ts';
import type { Generated } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { outboundCluster, sniDnatCluster } from '../names.ts';
import { hostCovers } from '../route/host-name.ts';
import { boundServers } from './server.ts';

interface Input {
  readonly service: Service;
  readonly port: ServicePort;
  readonly rule: MergedDestinationRule | undefined;
  readonly subset: Subset | undefined;
  readonly mesh: ProxyScope['mesh'];
}

/**
 * A service's cluster by the name that clients put into the server name of their mutual TLS. Bytes are passed on as they are: the TLS in them is the
 * endpoint's business.
 */
const cluster = memoByInputs(
  ({ service, port, rule, subset, mesh }: Input) => [service, port, rule, subset, mesh],
  ({ service, port, rule, subset, mesh }): Generated<Cluster> => {
    const { resource, origins } = buildOutboundCluster({
      service,
      port,
      rule,
      subset,
      mesh,
      router: true,
      autoMutualTls: false,
      identities: [],
      mutualTlsEverywhere: false,
      endpoints: undefined,
      client: undefined,
      files: undefined,
      ipv6Only: false,
      switches: undefined,
      retried: false,
    });
    const { transportSocket: _socket, transportSocketMatches: _matches, ...rest } = resource;
    const { typedExtensionProtocolOptions: _http, ...bytes } = rest;
    const name = sniDnatCluster(port.number, subset?.name ?? '', service.hostname);
    const { edsClusterConfig } = bytes;
    return {
      resource: {
        ...bytes,
        name,
        ...(edsClusterConfig && { edsClusterConfig: { ...edsClusterConfig, serviceName: name } }),
      },
      origins,
    };
  },
);

/** The inputs of the clusters for AUTO_PASSTHROUGH: one for each port and subset of the services that a server's hosts let clients name. */
function* inputsOf(scope: SniDnatScope): Generator<Input> {
  if (scope.proxy.type !== 'router') {
    return;
  }
  const hosts = [...boundServers(scope).values()].flatMap((servers) =>
    servers.flatMap((server) => (server.kind === 'auto-passthrough' ? server.hosts.map((h) => h.host) : [])),
  );
  if (hosts.length === 0) {
    return;
  }
  const { mesh } = scope;
  for (const service of scope.services) {
    // Services outside of the mesh have no mutual TLS whose server name could say where to.
    if (service.meshExternal || (service.resolution !== 'static' && service.resolution !== 'passthrough')) {
      continue;
    }
    const rule = scope.destinationRules.get(service.hostname);
    for (const port of service.ports) {
      const named = sniDnatCluster(port.number, '', service.hostname);
      if (port.protocol === 'UDP' || !hosts.some((host) => hostCovers(host, named))) {
        continue;
      }
      for (const subset of [undefined, ...(rule?.spec.subsets ?? [])]) {
        if (subset?.name !== '') {
          yield { service, port, rule, subset, mesh };
        }
      }
    }
  }
}

type SniDnatScope = Pick<ProxyScope, 'proxy' | 'mesh' | 'services' | 'destinationRules' | 'gateways' | 'inbound'>;

/** Clusters for AUTO_PASSTHROUGH. */
export const sniDnatClusters = (scope: ProxyScope): readonly Generated<Cluster>[] => [...inputsOf(scope)].map(cluster);

const targets = memoByInputs(
  ({ scope, all }: { readonly scope: SniDnatScope; readonly all: readonly EndpointTarget[] }) => [
    all,
    scope.gateways,
    scope.inbound,
    scope.services,
    scope.destinationRules,
    scope.mesh,
  ],
  ({ scope, all }): readonly EndpointTarget[] => {
    const names = new Map(
      [...inputsOf(scope)].map(({ service, port, subset }) => {
        const parts = [port.number, subset?.name ?? '', service.hostname] as const;
        return [outboundCluster(...parts), sniDnatCluster(...parts)] as const;
      }),
    );
    return all.flatMap((target) => {
      const clusterName = names.get(target.clusterName);
      return clusterName === undefined
        ? []
        : [{ ...target, clusterName, input: { ...target.input, clusterName, mutualTlsOnly: true } }];
    });
  },
);

const none: readonly EndpointTarget[] = [];

/**
 * The endpoints of these clusters, out of those of the services' own: only such as take mutual TLS. The gateway cannot tell whether the TLS that it
 * passes on is that of the mesh, and must not be a way to endpoints that would not ask for it.
 */
export const sniDnatTargets = (scope: SniDnatScope, all: readonly EndpointTarget[]): readonly EndpointTarget[] =>
  scope.proxy.type === 'router' && scope.gateways.length > 0 ? targets({ scope, all }) : none;
