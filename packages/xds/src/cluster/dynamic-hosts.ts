import { isIP } from 'node:net';
import type { Cluster, ConfigListenerFilter, DnsCacheConfig, HttpFilter } from '@istio-ts/envoy';
import type { ProxyScope, ScopedProxy } from '@istio-ts/mesh/model';
import { protoDuration } from '../duration.ts';
import { memoByInputs } from '../memo.ts';
import { DYNAMIC_DNS_CLUSTER } from '../names.ts';
import { httpProxyPort } from '../route/http-proxy.ts';
import { unknownTraffic } from '../route/outbound-policy.ts';
import { typed } from '../typed.ts';

/**
 * ServiceEntries with resolution DYNAMIC_DNS: the proxy resolves the name that a request or a TLS handshake is for, when it arrives. A filter looks the
 * name up and a cluster of a type of its own sends there; both name the same cache, with the same settings, or Envoy refuses the second.
 */
type MeshConfig = ProxyScope['mesh'];
type Client = Pick<ScopedProxy, 'ipAddresses' | 'switches'>;

/** Names that a proxy remembers, unless istiod is told another number (PILOT_ALLOW_ANY_DYNAMIC_DNS_MAX_HOSTS). */
const MAX_HOSTS = 1024;

export const hasOnlyIpv6 = ({ ipAddresses }: Pick<Client, 'ipAddresses'>): boolean =>
  ipAddresses.length > 0 && ipAddresses.every((address) => isIP(address) === 6);

function dnsCache(mesh: MeshConfig, ipv6Only: boolean, maxHosts = MAX_HOSTS): DnsCacheConfig {
  return {
    name: 'dynamic-hosts',
    dnsLookupFamily: ipv6Only ? 'V6_ONLY' : 'V4_PREFERRED',
    dnsRefreshRate: protoDuration(mesh.dnsRefreshRate) ?? '60s',
    maxHosts,
  };
}

/** How the cluster of such a service finds where to send. */
export const dynamicHostsCluster = (
  mesh: MeshConfig,
  ipv6Only: boolean,
  maxHosts: number | undefined,
): Pick<Cluster, 'clusterType' | 'lbPolicy'> => ({
  clusterType: {
    name: 'envoy.clusters.dynamic_forward_proxy',
    typedConfig: typed('envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig', {
      dnsCacheConfig: dnsCache(mesh, ipv6Only, maxHosts),
      // A DestinationRule may say what name the server's certificate has.
      allowInsecureClusterOptions: true,
    }),
  },
  lbPolicy: 'CLUSTER_PROVIDED',
});

/** Looks up the host of requests that go to such a cluster; leaves others alone. */
export const dynamicHostsFilter = (mesh: MeshConfig, proxy: Client): HttpFilter => ({
  name: 'envoy.filters.http.dynamic_forward_proxy',
  typedConfig: typed('envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig', {
    dnsCacheConfig: dnsCache(mesh, hasOnlyIpv6(proxy), proxy.switches?.dynamicHosts),
  }),
});

/** Looks up the server name of a TLS handshake; stands before the TCP proxy. */
export const dynamicServerNameFilter = (mesh: MeshConfig, proxy: Client, port: number): ConfigListenerFilter => ({
  name: 'envoy.filters.network.sni_dynamic_forward_proxy',
  typedConfig: typed('envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig', {
    dnsCacheConfig: dnsCache(mesh, hasOnlyIpv6(proxy), proxy.switches?.dynamicHosts),
    portValue: port,
  }),
});

/** Whether requests of a proxy may be for hosts that are resolved when they arrive: those of such services, or such that nobody knows. */
export const seesDynamicHosts = (scope: ProxyScope): boolean =>
  someDynamic(scope.services) || resolvesUnknownHosts(scope);

const someDynamic = memoByInputs(
  (services: ProxyScope['services']) => [services],
  (services) => services.some(({ resolution }) => resolution === 'dynamic-dns'),
);

/** Whether a sidecar resolves hosts of requests that nobody knows (MeshConfig, `outboundTrafficPolicy` ALLOW_ANY_DYNAMIC_DNS, and `proxyHttpPort`). */
export const resolvesUnknownHosts = (scope: ProxyScope): boolean =>
  scope.proxy.type === 'sidecar' &&
  (unknownTraffic(scope).requests === DYNAMIC_DNS_CLUSTER || httpProxyPort(scope) !== undefined);
