import type { AccessLog, JsonObject, SubstitutionFormatString } from '@istio-ts/envoy';
import type { ProxyScope, ScopedProxy } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';
import { typed } from '../typed.ts';

type MeshConfig = ProxyScope['mesh'];

/** Fields of Istio's default access log, in the order of its documented text format: JSON key and command. */
const FIELDS: readonly (readonly [key: string, command: string])[] = [
  ['start_time', '%START_TIME%'],
  ['method', '%REQ(:METHOD)%'],
  ['path', '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%'],
  ['protocol', '%PROTOCOL%'],
  ['response_code', '%RESPONSE_CODE%'],
  ['response_flags', '%RESPONSE_FLAGS%'],
  ['response_code_details', '%RESPONSE_CODE_DETAILS%'],
  ['connection_termination_details', '%CONNECTION_TERMINATION_DETAILS%'],
  ['upstream_transport_failure_reason', '%UPSTREAM_TRANSPORT_FAILURE_REASON%'],
  ['bytes_received', '%BYTES_RECEIVED%'],
  ['bytes_sent', '%BYTES_SENT%'],
  ['duration', '%DURATION%'],
  ['upstream_service_time', '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%'],
  ['x_forwarded_for', '%REQ(X-FORWARDED-FOR)%'],
  ['user_agent', '%REQ(USER-AGENT)%'],
  ['request_id', '%REQ(X-REQUEST-ID)%'],
  ['authority', '%REQ(:AUTHORITY)%'],
  ['upstream_host', '%UPSTREAM_HOST%'],
  ['upstream_cluster', '%UPSTREAM_CLUSTER_RAW%'],
  ['upstream_local_address', '%UPSTREAM_LOCAL_ADDRESS%'],
  ['downstream_local_address', '%DOWNSTREAM_LOCAL_ADDRESS%'],
  ['downstream_remote_address', '%DOWNSTREAM_REMOTE_ADDRESS%'],
  ['requested_server_name', '%REQUESTED_SERVER_NAME%'],
  ['route_name', '%ROUTE_NAME%'],
];

const QUOTED: ReadonlySet<string> = new Set([
  'upstream_transport_failure_reason',
  'x_forwarded_for',
  'user_agent',
  'request_id',
  'authority',
  'upstream_host',
]);

/** The text format that Istio's documentation of access logs shows as the default. */
function defaultText(): string {
  const command = new Map(FIELDS);
  const at = (key: string): string => command.get(key) ?? '';
  const request = new Set(['method', 'path', 'protocol']);
  const rest = FIELDS.filter(([key]) => key !== 'start_time' && !request.has(key)).map(([key, value]) =>
    QUOTED.has(key) ? `"${value}"` : value,
  );
  return `[${at('start_time')}] "${at('method')} ${at('path')} ${at('protocol')}" ${rest.join(' ')}\n`;
}

const DEFAULT_TEXT = defaultText();
const DEFAULT_JSON: JsonObject = Object.fromEntries(FIELDS);

function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseJsonFormat(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    // Not JSON: the default format stands in.
    return undefined;
  }
}

function logFormat(mesh: MeshConfig): SubstitutionFormatString {
  const custom = mesh.accessLogFormat ?? '';
  if (mesh.accessLogEncoding === 'JSON') {
    return { jsonFormat: (custom === '' ? undefined : parseJsonFormat(custom)) ?? DEFAULT_JSON };
  }
  const textFormat = custom === '' ? DEFAULT_TEXT : custom;
  return { textFormatSource: { inlineString: textFormat.endsWith('\n') ? textFormat : `${textFormat}\n` } };
}

const fileLog = memoByInputs(
  (mesh: MeshConfig) => [mesh],
  (mesh): AccessLog => ({
    name: 'envoy.access_loggers.file',
    typedConfig: typed('envoy.extensions.access_loggers.file.v3.FileAccessLog', {
      path: mesh.accessLogFile ?? '',
      logFormat: logFormat(mesh),
    }),
  }),
);

const enabled = (mesh: MeshConfig): boolean => mesh.accessLogFile !== undefined && mesh.accessLogFile !== '';

/** Whose log it is. */
interface Place {
  readonly mesh: MeshConfig;
  readonly proxy: Pick<ScopedProxy, 'metadata'>;
}

/** Cluster in the bootstrap of proxies that are started with an `envoyAccessLogService`; Envoy refuses listeners that name one which is not there. */
const SERVICE_CLUSTER = 'envoy_accesslog_service';

function hasService({ mesh, proxy }: Place): boolean {
  if (mesh.enableEnvoyAccessLogService !== true) return false;
  const config = proxy.metadata.PROXY_CONFIG as { readonly envoyAccessLogService?: { readonly address?: unknown } };
  return Boolean(config?.envoyAccessLogService?.address);
}

/** Sends the log to the access log service (meshConfig.enableEnvoyAccessLogService). */
const serviceLog = (protocol: 'http' | 'tcp'): AccessLog => {
  const commonConfig = {
    logName: `${protocol}_envoy_accesslog`,
    transportApiVersion: 'V3',
    grpcService: { envoyGrpc: { clusterName: SERVICE_CLUSTER } },
  } as const;
  return {
    name: `envoy.access_loggers.${protocol}_grpc`,
    typedConfig:
      protocol === 'http'
        ? typed('envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig', { commonConfig })
        : typed('envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig', { commonConfig }),
  };
};
const httpServiceLog = serviceLog('http');
const ends = { filter: { logTypeFilter: { types: ['TcpConnectionEnd'] } } } as const;
const tcpServiceLog: AccessLog = { ...serviceLog('tcp'), ...ends };

/** Access log of HTTP requests (meshConfig.accessLogFile, accessLogFormat, accessLogEncoding, enableEnvoyAccessLogService); empty when none is configured. */
export const httpAccessLog = (place: Place): readonly AccessLog[] => [
  ...(enabled(place.mesh) ? [fileLog(place.mesh)] : []),
  ...(hasService(place) ? [httpServiceLog] : []),
];

/** Access log of TCP connections: one line when a connection ends, though metrics also hear of its begin. */
export const tcpAccessLog = (place: Place): readonly AccessLog[] => [
  ...(enabled(place.mesh) ? [{ ...fileLog(place.mesh), ...ends }] : []),
  ...(hasService(place) ? [tcpServiceLog] : []),
];

/** Access log of a listener itself: connections for which it has no filter chain. */
export function listenerAccessLog(place: Place): readonly AccessLog[] {
  if (place.mesh.disableEnvoyListenerLog === true) return [];
  const filter = { responseFlagFilter: { flags: ['NR'] } };
  return [
    ...(enabled(place.mesh) ? [{ ...fileLog(place.mesh), filter }] : []),
    ...(hasService(place) ? [{ ...tcpServiceLog, filter }] : []),
  ];
}
