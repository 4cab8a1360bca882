import type { MessageTypes } from '@istio-ts/envoy';
import { type JsonObject, listOf, numberOf, objectOf, textOf } from './json.ts';
import { type Span, SpanError, type SpanKind, spanIdOf, type Tags, type TagValue, traceIdOf } from './span.ts';

type ExportRequest = MessageTypes['opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest'];

/** How ids are written: base64 in ProtoJSON, hexadecimal in OTLP's own JSON. */
export type IdEncoding = 'base64' | 'hex';

const KINDS: Readonly<Record<string, SpanKind>> = {
  SPAN_KIND_SERVER: 'server',
  SPAN_KIND_CLIENT: 'client',
  SPAN_KIND_PRODUCER: 'producer',
  SPAN_KIND_CONSUMER: 'consumer',
  // OTLP's JSON writes numbers.
  '2': 'server',
  '3': 'client',
  '4': 'producer',
  '5': 'consumer',
};

const hexOf = (value: unknown, encoding: IdEncoding): string => {
  const text = textOf(value) ?? '';
  return encoding === 'hex' ? text : Buffer.from(text, 'base64').toString('hex');
};

const microseconds = (nanoseconds: unknown): number => {
  const text = typeof nanoseconds === 'number' ? String(Math.trunc(nanoseconds)) : (textOf(nanoseconds) ?? '0');
  return /^\d+$/.test(text) ? Number(BigInt(text) / 1000n) : 0;
};

function plainValue(value: unknown): unknown {
  const fields = objectOf(value) ?? {};
  if (fields.arrayValue !== undefined) return listOf(objectOf(fields.arrayValue)?.values).map(plainValue);
  if (fields.kvlistValue !== undefined)
    return Object.fromEntries(
      listOf(objectOf(fields.kvlistValue)?.values).map((entry) => {
        const each = objectOf(entry);
        return [textOf(each?.key) ?? '', plainValue(each?.value)];
      }),
    );
  return tagValue(fields);
}

function tagValue(value: JsonObject): TagValue {
  if (value.boolValue !== undefined) return value.boolValue === true;
  if (value.intValue !== undefined) {
    const number = numberOf(value.intValue) ?? 0;
    return Number.isSafeInteger(number) ? number : String(value.intValue);
  }
  if (value.doubleValue !== undefined) return numberOf(value.doubleValue) ?? String(value.doubleValue);
  if (value.arrayValue !== undefined || value.kvlistValue !== undefined) return JSON.stringify(plainValue(value));
  return textOf(value.stringValue) ?? textOf(value.bytesValue) ?? '';
}

const tagsOf = (attributes: unknown): Tags =>
  Object.fromEntries(
    listOf(attributes).map((entry) => {
      const each = objectOf(entry);
      return [textOf(each?.key) ?? '', tagValue(objectOf(each?.value) ?? {})];
    }),
  );

function statusTags(status: JsonObject | undefined): Tags {
  const { code } = status ?? {};
  const message = textOf(status?.message);
  if (code === 'STATUS_CODE_ERROR' || code === 2)
    return { 'otel.status_code': 'ERROR', error: true, ...(message && { 'otel.status_description': message }) };
  return code === 'STATUS_CODE_OK' || code === 1 ? { 'otel.status_code': 'OK' } : {};
}

/** Reads an OTLP request for traces: decoded bytes, or JSON. Raises SpanError. */
export function readOtlp(request: ExportRequest | JsonObject, encoding: IdEncoding): readonly Span[] {
  return listOf((request as JsonObject).resourceSpans).flatMap((group, g) => {
    const resource = objectOf(group);
    const { 'service.name': name, ...processTags } = tagsOf(objectOf(resource?.resource)?.attributes);
    const service = name === undefined || name === '' ? 'unknown_service' : String(name);
    return listOf(resource?.scopeSpans).flatMap((scopeGroup, s) => {
      const scope = objectOf(objectOf(scopeGroup)?.scope);
      const scopeName = textOf(scope?.name);
      return listOf(objectOf(scopeGroup)?.spans).map((item, index): Span => {
        const at = `resourceSpans[${g}].scopeSpans[${s}].spans[${index}]`;
        const span = objectOf(item) ?? {};
        const traceId = traceIdOf(hexOf(span.traceId, encoding));
        const id = spanIdOf(hexOf(span.spanId, encoding));
        if (traceId === undefined) throw new SpanError(`${at}.traceId is no id of 128 bits`);
        if (id === undefined) throw new SpanError(`${at}.spanId is no id of 64 bits`);
        const parentId = spanIdOf(hexOf(span.parentSpanId, encoding));
        const start = microseconds(span.startTimeUnixNano);
        return {
          traceId,
          id,
          ...(parentId !== undefined && { parentId }),
          kind: KINDS[String(span.kind ?? '')] ?? 'internal',
          name: textOf(span.name) ?? '',
          service,
          start,
          duration: Math.max(0, microseconds(span.endTimeUnixNano) - start),
          tags: {
            ...tagsOf(span.attributes),
            ...statusTags(objectOf(span.status)),
            ...(scopeName && { 'otel.scope.name': scopeName }),
          },
          logs: listOf(span.events).map((event) => {
            const each = objectOf(event);
            return {
              time: microseconds(each?.timeUnixNano),
              fields: { event: textOf(each?.name) ?? '', ...tagsOf(each?.attributes) },
            };
          }),
          processTags,
          shared: false,
          format: 'otlp',
        };
      });
    });
  });
}
