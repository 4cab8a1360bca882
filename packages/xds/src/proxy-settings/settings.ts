import { decodeProxyConfig, type ProxyConfig } from '@istio-ts/api';
import { mergeProxyConfig } from '@istio-ts/api/mesh/merge-proxy-config';
import type { ProxyScope, ScopedProxy } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';

/** The settings of a proxy that the control plane has to do with; the others are its agent's. */
const FIELDS = [
  'proxyHeaders',
  'connectionSettings',
  'gatewayTopology',
  'tracing',
  'zipkinAddress',
  'serviceCluster',
  'tracingServiceName',
] as const;
type Field = (typeof FIELDS)[number];

export type ProxyHeaders = NonNullable<ProxyConfig['proxyHeaders']>;
export type ConnectionSettings = NonNullable<ProxyConfig['connectionSettings']>;
export type ProxySettings = Readonly<Pick<ProxyConfig, Field>>;

/** Envoy's advice for proxies that untrusted clients talk to (Istio's documentation, "Edge Proxy Configuration"). */
const EDGE: ConnectionSettings = {
  listenerPerConnectionBufferLimitBytes: 32_768,
  clusterPerConnectionBufferLimitBytes: 32_768,
  httpIdleTimeout: '3600s',
  httpRequestTimeout: '300s',
  httpStreamIdleTimeout: '300s',
  httpMaxConcurrentStreams: 100,
  http2InitialStreamWindowSize: 65_536,
  http2InitialConnectionWindowSize: 1_048_576,
  httpRequestHeadersTimeout: '60s',
  httpHeadersWithUnderscoresAction: 'HEADERS_WITH_UNDERSCORES_REJECT_REQUEST',
  httpMergeSlashes: true,
  httpPathWithEscapedSlashesAction: 'UNESCAPE_AND_REDIRECT',
};

const only = (config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(FIELDS.flatMap((field) => (config[field] === undefined ? [] : [[field, config[field]]])));

const read = memoByInputs(
  ({ proxy, mesh }: { readonly proxy: Pick<ScopedProxy, 'type' | 'metadata'>; readonly mesh: ProxyScope['mesh'] }) => [
    proxy.metadata,
    mesh,
    proxy.type,
  ],
  ({ proxy, mesh }): ProxySettings => {
    const own = proxy.metadata.PROXY_CONFIG;
    const merged = mergeProxyConfig(
      only({ ...mesh.defaultConfig }),
      typeof own === 'object' && own !== null ? only(own as Readonly<Record<string, unknown>>) : {},
    );
    // What a proxy says of itself is as its owner wrote it: what cannot be read is left out.
    const { proxyHeaders, connectionSettings, gatewayTopology, tracing, ...naming } = decodeProxyConfig(merged).value;
    const { zipkinAddress, serviceCluster, tracingServiceName } = naming;
    const isEdge = connectionSettings?.profile === 'EDGE' && proxy.type === 'router';
    return {
      ...(proxyHeaders && { proxyHeaders }),
      ...(connectionSettings && { connectionSettings: { ...(isEdge ? EDGE : {}), ...connectionSettings } }),
      ...(gatewayTopology && { gatewayTopology }),
      ...(tracing && { tracing }),
      ...(zipkinAddress && { zipkinAddress }),
      ...(serviceCluster && { serviceCluster }),
      ...(tracingServiceName && { tracingServiceName }),
    };
  },
);

/** Settings of a proxy: those that it was started with (ProxyConfig in its metadata) over the mesh's `defaultConfig`; of the profile EDGE for gateways. */
export const proxySettings = (place: {
  readonly proxy: Pick<ScopedProxy, 'type' | 'metadata'>;
  readonly mesh: ProxyScope['mesh'];
}): ProxySettings => read(place);
