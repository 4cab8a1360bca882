import { createHash } from 'node:crypto';
import { isError, type Span } from './span.ts';

/** An id that the two halves of a shared span do not have in common. */
const serverId = (span: Span): string =>
  createHash('sha256').update(`${span.traceId} ${span.id} ${span.service}`).digest('hex').slice(0, 16);

/**
 * The spans of one trace, each with an id of its own. Of a span that client and server tell of under one id (Zipkin's B3 propagation) the server's half
 * becomes the client's child and takes over its children: who calls on is the server. Sorted by time.
 */
export function assemble(spans: readonly Span[]): readonly Span[] {
  const clients = new Set(spans.filter(({ kind, shared }) => kind !== 'server' && !shared).map(({ id }) => id));
  const renamed = new Map<string, string>();
  for (const span of spans)
    if ((span.kind === 'server' || span.shared) && clients.has(span.id)) renamed.set(span.id, serverId(span));
  return spans
    .map((span) => {
      const isHalf = (span.kind === 'server' || span.shared) && clients.has(span.id);
      if (isHalf) return { ...span, id: serverId(span), parentId: span.id };
      const parent = span.parentId === undefined ? undefined : renamed.get(span.parentId);
      return parent === undefined ? span : { ...span, parentId: parent };
    })
    .sort((a, b) => a.start - b.start || (a.id < b.id ? -1 : 1));
}

/** Who called whom how often. */
export interface Dependency {
  readonly parent: string;
  readonly child: string;
  readonly calls: number;
  readonly errors: number;
}

/** Calls between services: each span whose parent is another service's. */
export function dependencies(traces: Iterable<readonly Span[]>): readonly Dependency[] {
  const found = new Map<string, { parent: string; child: string; calls: number; errors: number }>();
  for (const trace of traces) {
    const spans = assemble(trace);
    const byId = new Map(spans.map((span) => [span.id, span]));
    for (const span of spans) {
      const parent = span.parentId === undefined ? undefined : byId.get(span.parentId);
      if (parent === undefined || parent.service === span.service) continue;
      const key = JSON.stringify([parent.service, span.service]);
      const link = found.get(key) ?? { parent: parent.service, child: span.service, calls: 0, errors: 0 };
      link.calls++;
      if (isError(span)) link.errors++;
      found.set(key, link);
    }
  }
  return [...found.values()].sort((a, b) =>
    a.parent === b.parent ? (a.child < b.child ? -1 : 1) : a.parent < b.parent ? -1 : 1,
  );
}
