import type {
  AccessLog,
  ConfigListenerFilter,
  HttpConnectionManager,
  HttpFilter,
  RouteConfiguration,
} from '@istio-ts/envoy';
import type { ProxyScope, ScopedProxy } from '@istio-ts/mesh/model';
import type { EffectiveTelemetry } from '@istio-ts/mesh/telemetry';
import { protoDuration } from '../duration.ts';
import { connectionOptions, headerSettings, type ProxyRole, pathSettings } from '../proxy-settings/http-connection.ts';
import { proxySettings } from '../proxy-settings/settings.ts';
import { type AccessLogs, httpAccessLog } from '../telemetry/access-log.ts';
import { telemetryOfRole } from '../telemetry/effective.ts';
import { type ProxyTracing, tracingOfRole } from '../telemetry/tracing.ts';
import { typed } from '../typed.ts';
import { withDryRuns } from './dry-run-tracing.ts';
import { httpFilters } from './order.ts';

type MeshConfig = ProxyScope['mesh'];

/** Where the routes of an HTTP connection manager come from. */
export type RouteSource =
  | { readonly kind: 'rds'; readonly name: string }
  | { readonly kind: 'inline'; readonly config: RouteConfiguration };

export interface HttpConnectionManagerInput {
  readonly proxy: ScopedProxy;
  readonly mesh: MeshConfig;
  /** How requests are traced; `role` decides which side of the traffic counts. */
  readonly tracing: ProxyTracing;
  /** What Telemetries say for this proxy; `role` decides which side of the traffic counts. */
  readonly telemetry: EffectiveTelemetry;
  readonly accessLogs: AccessLogs;
  readonly role: ProxyRole;
  readonly statPrefix: string;
  readonly routes: RouteSource;
  /** Loggers that count requests. */
  readonly metrics: readonly AccessLog[];
  /** HTTP filters beside those that always are there. */
  readonly filters: readonly HttpFilter[];
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

/** Last network filter of an HTTP chain. */
export function httpConnectionManager(input: HttpConnectionManagerInput): ConfigListenerFilter {
  const { proxy, mesh } = input;
  const { metadata } = proxy;
  const settings = proxySettings(input);
  const idle = typeof metadata.IDLE_TIMEOUT === 'string' ? protoDuration(metadata.IDLE_TIMEOUT) : undefined;
  const traced = tracingOfRole(input.tracing, input.role);
  const { tracing: wanted } = telemetryOfRole(input.telemetry, input.role);
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
    httpFilters: httpFilters(input.filters, settings.proxyHeaders?.envoyDebugHeaders?.disabled === true),
    ...(traced !== undefined && {
      tracing: traced.istioTags ? withDryRuns(traced.settings, input.filters) : traced.settings,
    }),
    ...connectionOptions(settings, {
      acceptHttp10: metadata.HTTP10 === '1' || metadata.HTTP10 === true,
      idleTimeout: idle,
    }),
    accessLog: [...httpAccessLog(input, input.role), ...input.metrics],
    requestIdExtension: {
      typedConfig: typed('envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig', {
        useRequestIdForTraceSampling: wanted.kind !== 'provider' || wanted.useRequestIdForTraceSampling,
      }),
    },
    upgradeConfigs: [{ upgradeType: 'websocket' }],
    ...pathNormalization(mesh),
    ...pathSettings(settings.connectionSettings ?? {}),
    ...headerSettings(input.role, settings),
    ...(proxy.switches?.continueHeaders !== false && { proxy100Continue: true }),
    ...(input.role === 'outbound' && proxy.switches?.useRemoteAddress === true && { useRemoteAddress: true }),
  };
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typedConfig: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', config),
  };
}
