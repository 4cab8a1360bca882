import type { ExtensionProvider } from '@istio-ts/api';
import type { AccessLog, CommonGrpcAccessLogConfig, JsonObject } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { typed } from '../typed.ts';
import { DEFAULT_TEXT, formattersOf, jsonFormat, meshFormat, otelAttributes, textFormat } from './access-log-format.ts';
import type { ProviderTarget } from './provider-service.ts';

type MeshConfig = ProxyScope['mesh'];

/** Loggers of one provider, without a filter: for requests, and for connections. */
export interface ProviderLogs {
  readonly http?: AccessLog;
  readonly tcp?: AccessLog;
}

/** The service that a provider sends its logs to; undefined for one that has none. */
export const serviceOfProvider = ({
  envoyHttpAls,
  envoyTcpAls,
  envoyOtelAls,
}: ExtensionProvider): { readonly service: string; readonly port: number } | undefined =>
  envoyHttpAls ?? envoyTcpAls ?? envoyOtelAls;

const STDOUT = '/dev/stdout';

/** A log in a file, in the format that the mesh configuration says. */
export const meshFileLog = (path: string, mesh: MeshConfig): AccessLog => ({
  name: 'envoy.access_loggers.file',
  typedConfig: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', { path, logFormat: meshFormat(mesh) }),
});

type File = NonNullable<ExtensionProvider['envoyFileAccessLog']>;

function fileLog(name: string, { path, logFormat, omitEmptyValues }: File, mesh: MeshConfig): AccessLog {
  // The provider that every mesh has writes as the mesh's own log does (MeshConfig reference, accessLogFormat).
  const format =
    logFormat?.labels !== undefined
      ? jsonFormat(logFormat.labels as JsonObject)
      : logFormat === undefined && name === 'envoy'
        ? meshFormat(mesh)
        : textFormat(logFormat?.text);
  return {
    name: 'envoy.access_loggers.file',
    typedConfig: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', {
      path: path || STDOUT,
      logFormat: { ...format, ...(omitEmptyValues === true && { omitEmptyValues }) },
    }),
  };
}

const grpcService = ({ cluster, hostname }: ProviderTarget) => ({
  envoyGrpc: { clusterName: cluster, authority: hostname },
});

function common(
  target: ProviderTarget,
  logName: string,
  filterStateObjectsToLog: readonly string[] | undefined,
): CommonGrpcAccessLogConfig {
  return {
    logName,
    transportApiVersion: 'V3',
    grpcService: grpcService(target),
    ...(filterStateObjectsToLog && filterStateObjectsToLog.length > 0 && { filterStateObjectsToLog }),
  };
}

type HttpAls = NonNullable<ExtensionProvider['envoyHttpAls']>;
type TcpAls = NonNullable<ExtensionProvider['envoyTcpAls']>;
type OtelAls = NonNullable<ExtensionProvider['envoyOtelAls']>;

/** Names of logs where a provider gives none, as in Istio. */
const httpServiceLog = (als: HttpAls, target: ProviderTarget): AccessLog => ({
  name: 'envoy.access_loggers.http_grpc',
  typedConfig: typed('envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig', {
    commonConfig: common(target, als.logName || 'http_envoy_accesslog', als.filterStateObjectsToLog),
    ...(als.additionalRequestHeadersToLog && { additionalRequestHeadersToLog: als.additionalRequestHeadersToLog }),
    ...(als.additionalResponseHeadersToLog && { additionalResponseHeadersToLog: als.additionalResponseHeadersToLog }),
    ...(als.additionalResponseTrailersToLog && {
      additionalResponseTrailersToLog: als.additionalResponseTrailersToLog,
    }),
  }),
});

const tcpServiceLog = (als: TcpAls, target: ProviderTarget): AccessLog => ({
  name: 'envoy.access_loggers.tcp_grpc',
  typedConfig: typed('envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig', {
    commonConfig: common(target, als.logName || 'tcp_envoy_accesslog', als.filterStateObjectsToLog),
  }),
});

const otelLog = ({ logName, logFormat }: OtelAls, target: ProviderTarget): AccessLog => ({
  name: 'envoy.access_loggers.open_telemetry',
  typedConfig: typed('envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig', {
    logName: logName || 'otel_envoy_accesslog',
    grpcService: grpcService(target),
    // As in Istio: records carry what the format says, and not also the names of the log, zone and node.
    disableBuiltinLabels: true,
    body: { stringValue: logFormat?.text || DEFAULT_TEXT },
    ...(logFormat?.labels !== undefined && { attributes: { values: otelAttributes(logFormat.labels as JsonObject) } }),
    ...formattersOf(logFormat),
  }),
});

/** The loggers of a provider; none for one that logs nothing, or whose service `target` is missing. */
export function providerLogs(
  provider: ExtensionProvider,
  target: ProviderTarget | undefined,
  mesh: MeshConfig,
): ProviderLogs {
  const { name, envoyFileAccessLog, envoyHttpAls, envoyTcpAls, envoyOtelAls } = provider;
  if (envoyFileAccessLog !== undefined) {
    const log = fileLog(name, envoyFileAccessLog, mesh);
    return { http: log, tcp: log };
  }
  if (target === undefined) return {};
  if (envoyHttpAls !== undefined) return { http: httpServiceLog(envoyHttpAls, target) };
  if (envoyTcpAls !== undefined) return { tcp: tcpServiceLog(envoyTcpAls, target) };
  if (envoyOtelAls !== undefined) {
    const log = otelLog(envoyOtelAls, target);
    return { http: log, tcp: log };
  }
  return {};
}
