import type {
  AccessLog,
  ConfigListenerFilter,
  HttpConnectionManager,
  HttpConnectionManager_Tracing,
  HttpFilter,
  RouteConfiguration,
} from '@istio-ts/envoy';
import type { ProxyScope, ScopedProxy } from '@istio-ts/mesh/model';
import { protoDuration } from '../duration.ts';
import { httpAccessLog } from '../telemetry/access-log.ts';
import { typed } from '../typed.ts';
import { httpFilters } from './order.ts';

type MeshConfig = ProxyScope['mesh'];

/** Where the routes of an HTTP connection manager come from. */
export type RouteSource =
  | { readonly kind: 'rds'; readonly name: string }
  | { readonly kind: 'inline'; readonly config: RouteConfiguration };

export interface HttpConnectionManagerInput {
  readonly proxy: ScopedProxy;
  readonly mesh: MeshConfig;
  readonly tracing: HttpConnectionManager_Tracing | undefined;
  readonly role: 'outbound' | 'inbound' | 'gateway';
  readonly statPrefix: string;
  readonly routes: RouteSource;
  /** Loggers that count requests. */
  readonly metrics: readonly AccessLog[];
  /** HTTP filters beside those that always are there. */
  readonly filters: readonly HttpFilter[];
}

type Topology = NonNullable<NonNullable<MeshConfig['defaultConfig']>['gatewayTopology']>;

/** Set by the proxy's operator: gatewayTopology of the pod's own ProxyConfig, else of the mesh's. */
export function gatewayTopology({
  proxy,
  mesh,
}: Pick<HttpConnectionManagerInput, 'proxy' | 'mesh'>): Topology | undefined {
  const own = proxy.metadata.PROXY_CONFIG;
  const ownTopology =
    typeof own === 'object' && own !== null
      ? (own as { readonly gatewayTopology?: Topology }).gatewayTopology
      : undefined;
  return ownTopology ?? mesh.defaultConfig?.gatewayTopology;
}

/** Path normalisation (meshConfig.pathNormalization); DEFAULT is BASE. */
function pathNormalization(mesh: MeshConfig): Partial<HttpConnectionManager> {
  switch (mesh.pathNormalization?.normalization) {
    case 'NONE':
      return { normalizePath: false };
    case 'MERGE_SLASHES':
      return { normalizePath: true, mergeSlashes: true };
    case 'DECODE_AND_MERGE_SLASHES':
      return { normalizePath: true, mergeSlashes: true, pathWithEscapedSlashesAction: 'UNESCAPE_AND_FORWARD' };
    default:
      return { normalizePath: true };
  }
}

type ForwardDetails = NonNullable<HttpConnectionManager['forwardClientCertDetails']>;

function byRole(input: HttpConnectionManagerInput): Partial<HttpConnectionManager> {
  switch (input.role) {
    case 'outbound':
      return { useRemoteAddress: false };
    case 'inbound':
      return {
        serverName: 'istio-envoy',
        useRemoteAddress: false,
        // The application sees who called (x-forwarded-client-cert), and what earlier proxies wrote stays.
        forwardClientCertDetails: 'APPEND_FORWARD',
        setCurrentClientCertDetails: { subject: true, dns: true, uri: true },
      };
    case 'gateway': {
      const edge = gatewayTopology(input);
      const details = edge?.forwardClientCertDetails;
      const forward: ForwardDetails = details === undefined || details === 'UNDEFINED' ? 'SANITIZE_SET' : details;
      return {
        serverName: 'istio-envoy',
        useRemoteAddress: true,
        ...(edge?.numTrustedProxies !== undefined && edge.numTrustedProxies > 0
          ? { xffNumTrustedHops: edge.numTrustedProxies }
          : {}),
        forwardClientCertDetails: forward,
        ...(forward === 'SANITIZE_SET' || forward === 'APPEND_FORWARD'
          ? { setCurrentClientCertDetails: { subject: true, cert: true, dns: true, uri: true } }
          : {}),
      };
    }
    default: {
      const unknown: never = input.role;
      return unknown;
    }
  }
}

/** Last network filter of an HTTP chain. */
export function httpConnectionManager(input: HttpConnectionManagerInput): ConfigListenerFilter {
  const { proxy, mesh } = input;
  const { metadata } = proxy;
  const idle = typeof metadata.IDLE_TIMEOUT === 'string' ? protoDuration(metadata.IDLE_TIMEOUT) : undefined;
  const config: HttpConnectionManager = {
    statPrefix: input.statPrefix,
    ...(input.routes.kind === 'rds'
      ? {
          rds: {
            routeConfigName: input.routes.name,
            configSource: { ads: {}, initialFetchTimeout: '0s', resourceApiVersion: 'V3' },
          },
        }
      : { routeConfig: input.routes.config }),
    httpFilters: httpFilters(input.filters),
    ...(input.tracing !== undefined ? { tracing: input.tracing } : {}),
    ...(metadata.HTTP10 === '1' || metadata.HTTP10 === true ? { httpProtocolOptions: { acceptHttp10: true } } : {}),
    ...(idle !== undefined ? { commonHttpProtocolOptions: { idleTimeout: idle } } : {}),
    // Streams of gRPC may be quiet for long; limits are the routes' business.
    streamIdleTimeout: '0s',
    accessLog: [...httpAccessLog(mesh), ...input.metrics],
    generateRequestId: true,
    requestIdExtension: {
      typedConfig: typed('envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig', {
        useRequestIdForTraceSampling: true,
      }),
    },
    upgradeConfigs: [{ upgradeType: 'websocket' }],
    ...pathNormalization(mesh),
    ...byRole(input),
  };
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typedConfig: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', config),
  };
}
