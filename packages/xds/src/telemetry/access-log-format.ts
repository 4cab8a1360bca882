import type {
  AnyValue,
  CommonKeyValue,
  JsonObject,
  SubstitutionFormatString,
  TypedExtensionConfig,
} from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
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
  return `[${at('start_time')}] "${at('method')} ${at('path')} ${at('protocol')}" ${rest.join(' ')}`;
}

/** One line in Istio's default text format, without the end of the line. */
export const DEFAULT_TEXT = defaultText();
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

/** Commands that Envoy has as extensions, which a format has to name. */
const FORMATTERS: readonly (readonly [command: string, formatter: TypedExtensionConfig])[] = [
  [
    '%REQ_WITHOUT_QUERY(',
    {
      name: 'envoy.formatter.req_without_query',
      typedConfig: typed('envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery', {}),
    },
  ],
  [
    '%METADATA(',
    {
      name: 'envoy.formatter.metadata',
      typedConfig: typed('envoy.extensions.formatter.metadata.v3.Metadata', {}),
    },
  ],
];

/** The extensions that a format needs, in whatever form it is given. */
export function formattersOf(format: unknown): { readonly formatters?: readonly TypedExtensionConfig[] } {
  const text = JSON.stringify(format) ?? '';
  const needed = FORMATTERS.filter(([command]) => text.includes(command)).map(([, formatter]) => formatter);
  return needed.length > 0 ? { formatters: needed } : {};
}

/** A line per entry; the default format for none. */
export const textFormat = (text: string | undefined): SubstitutionFormatString => {
  const line = text || DEFAULT_TEXT;
  return {
    textFormatSource: { inlineString: line.endsWith('\n') ? line : `${line}\n` },
    ...formattersOf(line),
  };
};

/** An object per entry, with values that are formats or objects of formats; Istio's default fields for none. */
export const jsonFormat = (labels: JsonObject | undefined): SubstitutionFormatString => ({
  jsonFormat: labels === undefined || Object.keys(labels).length === 0 ? DEFAULT_JSON : labels,
  ...formattersOf(labels),
});

/** The format that the mesh configuration says for all logs: `accessLogEncoding` and `accessLogFormat`. */
export const meshFormat = ({ accessLogFormat, accessLogEncoding }: MeshConfig): SubstitutionFormatString =>
  accessLogEncoding === 'JSON'
    ? jsonFormat(accessLogFormat ? parseJsonFormat(accessLogFormat) : undefined)
    : textFormat(accessLogFormat);

/** A label of an OpenTelemetry record. Envoy fills in formats at any depth. */
export function otelValue(value: unknown): AnyValue {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(otelValue) } };
  return isJsonObject(value) ? { kvlistValue: { values: otelAttributes(value) } } : {};
}

export const otelAttributes = (labels: JsonObject): readonly CommonKeyValue[] =>
  Object.entries(labels).map(([key, value]) => ({ key, value: otelValue(value) }));
