import type { HTTPAccessLogEntry, StreamAccessLogsMessage, TCPAccessLogEntry } from '@istio-ts/envoy';

/** Who sends a stream of log entries: its first message says it, the others leave it out. */
export interface AccessLogSource {
  /** `common_config.log_name` of the access log. */
  readonly logName: string;
  /** Envoy's node id: `sidecar~10.1.2.3~cart-1.shop~shop.svc.cluster.local`. */
  readonly node: string;
  /** Envoy's `node.cluster`: `cart.shop`. */
  readonly cluster: string;
}

/** One entry of an access log as a proxy sends it (`envoy.data.accesslog.v3`), with its sender. */
export type AccessLogRecord =
  | ({ readonly kind: 'http'; readonly entry: HTTPAccessLogEntry } & AccessLogSource)
  | ({ readonly kind: 'tcp'; readonly entry: TCPAccessLogEntry } & AccessLogSource);

export const UNKNOWN_SOURCE: AccessLogSource = { logName: '', node: '', cluster: '' };

/** The sender after this message, where `before` sent those until now. */
export function sourceOf(message: StreamAccessLogsMessage, before: AccessLogSource): AccessLogSource {
  const { identifier } = message;
  if (identifier === undefined) return before;
  return {
    logName: identifier.logName ?? '',
    node: identifier.node?.id ?? '',
    cluster: identifier.node?.cluster ?? '',
  };
}

/** The entries of one message, in its order. */
export function recordsOf(message: StreamAccessLogsMessage, source: AccessLogSource): readonly AccessLogRecord[] {
  return [
    ...(message.httpLogs?.logEntry ?? []).map((entry) => ({ kind: 'http' as const, ...source, entry })),
    ...(message.tcpLogs?.logEntry ?? []).map((entry) => ({ kind: 'tcp' as const, ...source, entry })),
  ];
}
