import { EncodeError } from './errors.ts';

/** Seconds since the epoch and nanoseconds, as google.protobuf.Duration and Timestamp hold them. */
export interface SecondsNanos {
  readonly seconds: bigint;
  readonly nanos: number;
}

const DURATION = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;
const MAX_DURATION_SECONDS = 315_576_000_000n;
const TIMESTAMP = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;

/** Parses `1.5s`; the range is that of google/protobuf/duration.proto. Raises EncodeError. */
export function parseDuration(text: unknown): SecondsNanos {
  const match = typeof text === 'string' ? DURATION.exec(text) : null;
  if (match === null) throw new EncodeError(`expected a duration such as '1.5s', found ${JSON.stringify(text)}`);
  const [, sign, whole = '0', fraction = ''] = match;
  const seconds = BigInt(whole);
  if (seconds > MAX_DURATION_SECONDS) throw new EncodeError(`the duration ${text} is out of range`);
  const nanos = Number(fraction.padEnd(9, '0'));
  return sign === '-' ? { seconds: -seconds, nanos: -nanos } : { seconds, nanos };
}

export function formatDuration({ seconds, nanos }: SecondsNanos): string {
  const negative = seconds < 0n || nanos < 0;
  const whole = seconds < 0n ? -seconds : seconds;
  return `${negative ? '-' : ''}${whole}${formatNanos(Math.abs(nanos))}s`;
}

/** Parses an RFC 3339 date. Raises EncodeError. */
export function parseTimestamp(text: unknown): SecondsNanos {
  const match = typeof text === 'string' ? TIMESTAMP.exec(text) : null;
  if (match === null)
    throw new EncodeError(`expected a timestamp such as '2026-01-02T03:04:05Z', found ${JSON.stringify(text)}`);
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = match;
  const millis = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone.toUpperCase()}`);
  if (Number.isNaN(millis)) throw new EncodeError(`${text} is no valid date`);
  return { seconds: BigInt(Math.floor(millis / 1000)), nanos: Number(fraction.padEnd(9, '0')) };
}

export function formatTimestamp({ seconds, nanos }: SecondsNanos): string {
  const date = new Date(Number(seconds) * 1000);
  // Out of the range that ProtoJSON can say (years 1 to 9999): the nearest date that it can.
  if (Number.isNaN(date.getTime()) || date.getUTCFullYear() > 9999) return '9999-12-31T23:59:59Z';
  if (date.getUTCFullYear() < 1) return '0001-01-01T00:00:00Z';
  return `${date.toISOString().slice(0, 19)}${formatNanos(nanos)}Z`;
}

/** No, three, six or nine digits (ProtoJSON). */
function formatNanos(nanos: number): string {
  if (nanos === 0) return '';
  const digits = String(nanos).padStart(9, '0');
  if (digits.endsWith('000000')) return `.${digits.slice(0, 3)}`;
  if (digits.endsWith('000')) return `.${digits.slice(0, 6)}`;
  return `.${digits}`;
}

/** The wrapper messages and the scalar each holds in its field 1. */
export const WRAPPERS = {
  'google.protobuf.DoubleValue': 'double',
  'google.protobuf.FloatValue': 'float',
  'google.protobuf.Int64Value': 'int64',
  'google.protobuf.UInt64Value': 'uint64',
  'google.protobuf.Int32Value': 'int32',
  'google.protobuf.UInt32Value': 'uint32',
  'google.protobuf.BoolValue': 'bool',
  'google.protobuf.StringValue': 'string',
  'google.protobuf.BytesValue': 'bytes',
} as const;

const OTHERS: ReadonlySet<string> = new Set([
  'google.protobuf.Any',
  'google.protobuf.Duration',
  'google.protobuf.Timestamp',
  'google.protobuf.FieldMask',
  'google.protobuf.Struct',
  'google.protobuf.Value',
  'google.protobuf.ListValue',
]);

/** Whether the JSON form of a message is not an object of its fields; inside an Any it stands in `value`. */
export function hasSpecialJson(typeName: string): boolean {
  return typeName in WRAPPERS || OTHERS.has(typeName);
}

/** The message type that a type URL names. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}
