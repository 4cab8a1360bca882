import { destinationRuleOf } from '@istio-ts/envoy-dump/cluster';
import { parseClusterName } from '@istio-ts/envoy-dump/cluster';
import { type ConfigDump, clustersOf, listenersOf, routesOf } from '@istio-ts/envoy-dump/config-dump';
import { at, list, text, texts } from '@istio-ts/envoy-dump/json';
import { chainsOf, portOf } from '@istio-ts/envoy-dump/listener';
import { virtualServiceOf } from '@istio-ts/envoy-dump/route';

/** The port at which a sidecar takes what comes in. */
const inboundPort = 15006;

/** In which ways an Envoy takes connections for a port of its workload; undefined when it has nothing for it. */
export function acceptedBy(
  dump: ConfigDump,
  port: number,
): { readonly tls: boolean; readonly plain: boolean } | undefined {
  const chains = listenersOf(dump)
    .filter((listener) => portOf(listener) === inboundPort)
    .flatMap(chainsOf)
    .filter((chain) => Number(at(chain, 'filterChainMatch', 'destinationPort')) === port);
  if (chains.length === 0) return undefined;
  const isTls = chains.map((chain) => chain.transportSocket !== undefined);
  return { tls: isTls.includes(true), plain: isTls.includes(false) };
}

/** The DestinationRules (`name.namespace`) that shaped an Envoy's clusters for a host. */
export function rulesInEnvoy(dump: ConfigDump, hostname: string): ReadonlySet<string> {
  const clusters = clustersOf(dump).filter((cluster) => {
    const { fqdn, direction } = parseClusterName(text(cluster.name));
    return fqdn === hostname && direction === 'outbound';
  });
  return new Set(clusters.map(destinationRuleOf).filter(Boolean));
}

/** The VirtualServices (`name.namespace`) that shaped an Envoy's routes for a host. */
export function virtualServicesInEnvoy(dump: ConfigDump, hostname: string): ReadonlySet<string> {
  const hosts = routesOf(dump).flatMap((config) => list(config.virtualHosts));
  const own = hosts.filter(
    ({ name, domains }) => text(name).startsWith(`${hostname}:`) || texts(domains).includes(hostname),
  );
  return new Set(own.flatMap((host) => list(host.routes).map(virtualServiceOf)).filter((name) => name.includes('.')));
}

/** Whether an Envoy knows a service at all: a Sidecar or exportTo may hide it. */
export const knowsService = (dump: ConfigDump, hostname: string): boolean =>
  clustersOf(dump).some((cluster) => parseClusterName(text(cluster.name)).fqdn === hostname);
