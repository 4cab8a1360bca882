import type { LogLine } from '../api.ts';
import { fields, text } from '../mesh/read.ts';

type Request = NonNullable<LogLine['request']>;

const dash = (value: string): string => (value === '-' ? '' : value);

/**
 * A line in the default text format of Istio's access log: time, request line, status, flags, details, termination details, reason of a transport
 * failure, bytes received and sent, duration, upstream's time, X-Forwarded-For, user agent, request id, authority, upstream host, cluster, ...
 */
const textFormat =
  /^\[[^\]]*\] "(?<method>\S+) (?<path>.*?) (?<protocol>\S+)" (?<status>\d+) (?<flags>\S+) \S+ \S+ "[^"]*" \d+ \d+ (?<duration>\d+|-) \S+ "[^"]*" "[^"]*" "[^"]*" "(?<authority>[^"]*)" "(?<host>[^"]*)" (?<cluster>\S+)/;

/** Connections have no request line: `"- - -"` with status 0. */
function fromText(line: string): Request | undefined {
  const groups = textFormat.exec(line)?.groups;
  if (!groups) return undefined;
  const {
    method = '',
    path = '',
    status = '',
    flags = '',
    duration = '',
    authority = '',
    host = '',
    cluster = '',
  } = groups;
  return {
    method: dash(method),
    path: dash(path),
    status: Number(status),
    flags: dash(flags),
    durationMs: Number(dash(duration) || '0'),
    upstream: dash(cluster) || dash(host),
    authority: dash(authority),
  };
}

/** A line in the default JSON format (`accessLogEncoding: JSON`). */
function fromJson(line: string): Request | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const entry = fields(value);
  if (!('response_code' in entry) && !('method' in entry && 'path' in entry)) return undefined;
  return {
    method: dash(text(entry.method)),
    path: dash(text(entry.path)),
    status: Number(text(entry.response_code) || '0'),
    flags: dash(text(entry.response_flags)),
    durationMs: Number(text(entry.duration) || '0'),
    upstream: dash(text(entry.upstream_cluster)) || dash(text(entry.upstream_host)),
    authority: dash(text(entry.authority)),
  };
}

/** The request that an access log line tells of; undefined for every other line. */
export const requestOf = (line: string): Request | undefined =>
  line.startsWith('[') ? fromText(line) : line.startsWith('{') ? fromJson(line) : undefined;

/** A line as the kubelet gives it with time stamps. */
export function logLine(container: string, line: string): LogLine {
  const [, stamp = '', rest = line] = /^(\d{4}-\d\d-\d\dT\S+) ?(.*)$/s.exec(line) ?? [];
  const time = stamp === '' ? Number.NaN : Date.parse(stamp);
  const content = Number.isNaN(time) ? line : rest;
  const request = requestOf(content);
  return { ...(!Number.isNaN(time) && { time }), container, text: content, ...(request && { request }) };
}
