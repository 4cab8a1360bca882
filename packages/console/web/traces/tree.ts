import type { Span, Trace } from '../../src/api.ts';

/** A span in its place: how deep, what it called, and what of its time was its own. */
export interface SpanRow {
  readonly span: Span;
  readonly depth: number;
  readonly children: readonly string[];
  /** Milliseconds in which none of its children ran. */
  readonly selfTime: number;
  /** The end of the whole trace depends on it. */
  readonly critical: boolean;
}

/** Milliseconds of an interval that others cover; overlaps count once. */
function covered(start: number, end: number, others: readonly Span[]): number {
  const parts = others
    .map((span): [number, number] => [Math.max(span.start, start), Math.min(span.start + span.duration, end)])
    .filter(([from, to]) => to > from)
    .sort(([a], [b]) => a - b);
  let sum = 0;
  let reached = start;
  for (const [from, to] of parts) {
    if (to <= reached) continue;
    sum += to - Math.max(from, reached);
    reached = to;
  }
  return sum;
}

/**
 * The spans of a trace in the order of a waterfall: callers before what they called, siblings by their start. Spans whose parent is not there (it was
 * not sampled or has not arrived) stand at the top.
 */
export function waterfall(trace: Pick<Trace, 'all'>): readonly SpanRow[] {
  const byId = new Map(trace.all.map((span) => [span.id, span]));
  const children = Map.groupBy(trace.all, (span) =>
    span.parent !== undefined && span.parent !== span.id && byId.has(span.parent) ? span.parent : '',
  );
  for (const list of children.values()) list.sort((a, b) => a.start - b.start || b.duration - a.duration);
  const critical = criticalPath(children);
  const rows: SpanRow[] = [];
  const seen = new Set<string>();
  const visit = (span: Span, depth: number) => {
    // Parents in a circle would never end.
    if (seen.has(span.id)) return;
    seen.add(span.id);
    const own = children.get(span.id) ?? [];
    rows.push({
      span,
      depth,
      children: own.map(({ id }) => id),
      selfTime: Math.max(0, span.duration - covered(span.start, span.start + span.duration, own)),
      critical: critical.has(span.id),
    });
    for (const child of own) visit(child, depth + 1);
  };
  for (const root of children.get('') ?? []) visit(root, 0);
  for (const span of trace.all) if (!seen.has(span.id)) visit(span, 0);
  return rows;
}

/** From the longest root on: at each span the child that ended last, then the one that ended last before that one began, and so on. */
function criticalPath(children: ReadonlyMap<string, readonly Span[]>): ReadonlySet<string> {
  const path = new Set<string>();
  const follow = (span: Span) => {
    if (path.has(span.id)) return;
    path.add(span.id);
    let until = span.start + span.duration;
    const own = [...(children.get(span.id) ?? [])].sort((a, b) => b.start + b.duration - (a.start + a.duration));
    for (const child of own) {
      if (child.start + child.duration > until + 0.5) continue;
      follow(child);
      until = child.start;
    }
  };
  const roots = [...(children.get('') ?? [])].sort((a, b) => b.duration - a.duration);
  if (roots[0]) follow(roots[0]);
  return path;
}

/** Own time by service, the longest first. */
export function timeByService(
  rows: readonly SpanRow[],
): readonly { readonly service: string; readonly time: number; readonly spans: number; readonly errors: number }[] {
  const groups = Map.groupBy(rows, ({ span }) => span.service);
  return [...groups]
    .map(([service, list]) => ({
      service,
      time: list.reduce((sum, { selfTime }) => sum + selfTime, 0),
      spans: list.length,
      errors: list.filter(({ span }) => span.error).length,
    }))
    .sort((a, b) => b.time - a.time);
}

/** Rows whose callers are all unfolded. */
export function unfolded(rows: readonly SpanRow[], folded: ReadonlySet<string>): readonly SpanRow[] {
  const shown: SpanRow[] = [];
  let hiddenBelow = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    if (row.depth > hiddenBelow) continue;
    hiddenBelow = folded.has(row.span.id) ? row.depth : Number.POSITIVE_INFINITY;
    shown.push(row);
  }
  return shown;
}
