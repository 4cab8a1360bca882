import type { Cluster } from '@istio-ts/envoy';
import type { MergedDestinationRule, ProxyScope, Service, ServicePort } from '@istio-ts/mesh/model';
import { buildOutboundCluster } from '../cluster/outbound.ts';
import type { Subset } from '../cluster/traffic-policy.ts';
import type { Generated } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { sniDnatCluster } from '../names.ts';
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
 * A service's cluster by the name that clients put into the server name of their mutual TLS, with the same endpoints. Bytes are passed on as they are:
 * the TLS in them is the endpoint's business.
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
    });
    const { transportSocket: _socket, transportSocketMatches: _matches, ...rest } = resource;
    const { typedExtensionProtocolOptions: _http, ...bytes } = rest;
    return { resource: { ...bytes, name: sniDnatCluster(port.number, subset?.name ?? '', service.hostname) }, origins };
  },
);

/** Clusters for AUTO_PASSTHROUGH: one for each port and subset of the services that a server's hosts let clients name. */
export function sniDnatClusters(scope: ProxyScope): readonly Generated<Cluster>[] {
  if (scope.proxy.type !== 'router') {
    return [];
  }
  const hosts = [...boundServers(scope).values()].flatMap((servers) =>
    servers.flatMap((server) => (server.kind === 'auto-passthrough' ? server.hosts.map((h) => h.host) : [])),
  );
  if (hosts.length === 0) {
    return [];
  }
  const { mesh } = scope;
  const result: Generated<Cluster>[] = [];
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
          result.push(cluster({ service, port, rule, subset, mesh }));
        }
      }
    }
  }
  return result;
}
