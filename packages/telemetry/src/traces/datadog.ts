import { listOf, objectOf, textOf } from './json.ts';
import { SPAN_KINDS, type Span, SpanError, type SpanKind, spanIdOf, traceIdOf } from './span.ts';

const integer = (value: unknown): bigint => (typeof value === 'bigint' ? BigInt.asUintN(64, value) : 0n);
const hex = (value: unknown): string => integer(value).toString(16).padStart(16, '0');

/** Reads what a Datadog agent takes by `/v0.4/traces`, as MessagePack that is read already. Raises SpanError. */
export function readDatadog(body: unknown): readonly Span[] {
  if (!Array.isArray(body)) throw new SpanError('the body is no list of traces');
  return listOf(body).flatMap((trace, t) => {
    // The upper half of ids of 128 bits is told of once in a trace.
    const upper = listOf(trace)
      .map((item) => textOf(objectOf(objectOf(item)?.meta)?.['_dd.p.tid']))
      .find((found) => found !== undefined);
    return listOf(trace).map((item, index): Span => {
      const span = objectOf(item) ?? {};
      const traceId = traceIdOf(`${upper ?? ''}${hex(span.trace_id)}`);
      const id = spanIdOf(hex(span.span_id));
      if (traceId === undefined || id === undefined) throw new SpanError(`[${t}][${index}] has no trace_id or span_id`);
      const parentId = spanIdOf(hex(span.parent_id));
      const meta = Object.entries(objectOf(span.meta) ?? {}).map(([key, value]) => [key, String(value)]);
      const metrics = Object.entries(objectOf(span.metrics) ?? {}).map(([key, value]) => [key, Number(value)]);
      const tags: Record<string, string | number | boolean> = Object.fromEntries([...meta, ...metrics]);
      const kind: SpanKind | undefined = SPAN_KINDS.find((each) => each === tags['span.kind']);
      return {
        traceId,
        id,
        ...(parentId !== undefined && { parentId }),
        kind: kind ?? (textOf(span.type) === 'web' ? 'server' : 'internal'),
        // Datadog's "resource" is what others call the operation.
        name: textOf(span.resource) ?? textOf(span.name) ?? '',
        service: textOf(span.service) ?? 'unknown',
        start: Number(integer(span.start) / 1000n),
        duration: Number(integer(span.duration) / 1000n),
        tags: {
          ...tags,
          ...(integer(span.error) !== 0n && { error: true }),
          'operation.name': textOf(span.name) ?? '',
        },
        logs: [],
        processTags: {},
        shared: false,
        format: 'datadog',
      };
    });
  });
}
