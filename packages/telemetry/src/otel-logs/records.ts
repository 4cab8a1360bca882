import type { AnyValue, CommonKeyValue, ExportLogsServiceRequest } from '@istio-ts/envoy';

/** A value of OpenTelemetry as plain JSON: lists and maps as such, integers as numbers where these hold them exactly. */
export type PlainValue =
  | string
  | number
  | boolean
  | null
  | readonly PlainValue[]
  | { readonly [key: string]: PlainValue };

/** One log record as it came by OTLP, with the attributes of its resource. */
export interface OtelRecord {
  /** Nanoseconds since 1970, as text. */
  readonly timeUnixNano: string;
  readonly body: PlainValue;
  readonly attributes: { readonly [key: string]: PlainValue };
  readonly resource: { readonly [key: string]: PlainValue };
}

function plain(value: AnyValue | undefined): PlainValue {
  if (value === undefined) return null;
  const { stringValue, boolValue, intValue, doubleValue, arrayValue, kvlistValue, bytesValue } = value;
  if (intValue !== undefined) {
    const number = Number(intValue);
    return Number.isSafeInteger(number) ? number : String(intValue);
  }
  if (arrayValue !== undefined) return (arrayValue.values ?? []).map(plain);
  if (kvlistValue !== undefined) return attributes(kvlistValue.values);
  return stringValue ?? boolValue ?? doubleValue ?? (bytesValue === undefined ? null : String(bytesValue));
}

const attributes = (list: readonly CommonKeyValue[] | undefined): { readonly [key: string]: PlainValue } =>
  Object.fromEntries((list ?? []).map(({ key = '', value }) => [key, plain(value)]));

/** The records of one call, in its order. */
export const recordsOf = ({ resourceLogs }: ExportLogsServiceRequest): readonly OtelRecord[] =>
  (resourceLogs ?? []).flatMap(({ resource, scopeLogs }) =>
    (scopeLogs ?? []).flatMap(({ logRecords }) =>
      (logRecords ?? []).map((record) => ({
        timeUnixNano: String(record.timeUnixNano ?? 0),
        body: plain(record.body),
        attributes: attributes(record.attributes),
        resource: attributes(resource?.attributes),
      })),
    ),
  );
