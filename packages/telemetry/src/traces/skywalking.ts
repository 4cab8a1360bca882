import { createHash } from 'node:crypto';
import type { MessageTypes } from '@istio-ts/envoy';
import { type Span, SpanError, type SpanKind, traceIdOf } from './span.ts';

type Segment = MessageTypes['skywalking.v3.SegmentObject'];

const hash = (digits: number, ...parts: readonly (string | number)[]): string =>
  createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, digits);

/** SkyWalking's ids are any text; those that are UUIDs keep their digits. */
const traceOf = (id: string): string => traceIdOf(id.replaceAll('-', '')) ?? hash(32, id);
const spanOf = (segment: string, span: number): string => hash(16, segment, span);

const KINDS: Readonly<Record<string, SpanKind>> = { Entry: 'server', Exit: 'client', Local: 'internal' };

/** Reads a segment: the spans of one trace within one process. Their ids are hashes of the segment's and their number. Raises SpanError. */
export function readSegment(segment: Segment): readonly Span[] {
  const { traceId = '', traceSegmentId = '', service = 'unknown', serviceInstance = '' } = segment;
  if (traceId === '' || traceSegmentId === '') throw new SpanError('a segment has no trace or no id');
  return (segment.spans ?? []).map((span) => {
    const [ref] = span.refs ?? [];
    const parentId =
      ref !== undefined
        ? spanOf(ref.parentTraceSegmentId ?? '', ref.parentSpanId ?? 0)
        : (span.parentSpanId ?? 0) >= 0 && (span.spanId ?? 0) !== (span.parentSpanId ?? 0)
          ? spanOf(traceSegmentId, span.parentSpanId ?? 0)
          : undefined;
    const start = Number(span.startTime ?? 0) * 1000;
    return {
      traceId: traceOf(traceId),
      id: spanOf(traceSegmentId, span.spanId ?? 0),
      ...(parentId !== undefined && { parentId }),
      // The default of the protocol is Entry.
      kind: KINDS[span.spanType ?? 'Entry'] ?? 'internal',
      name: span.operationName ?? '',
      service,
      start,
      duration: Math.max(0, Number(span.endTime ?? 0) * 1000 - start),
      tags: {
        ...Object.fromEntries((span.tags ?? []).map(({ key = '', value = '' }) => [key, value])),
        ...(span.isError === true && { error: true }),
        ...(span.peer && { 'peer.address': span.peer }),
        'skywalking.trace_id': traceId,
      },
      logs: (span.logs ?? []).map(({ time, data = [] }) => ({
        time: Number(time ?? 0) * 1000,
        fields: Object.fromEntries(data.map(({ key = '', value = '' }) => [key, value])),
      })),
      processTags: { 'service.instance.id': serviceInstance },
      shared: false,
      format: 'skywalking',
    };
  });
}
