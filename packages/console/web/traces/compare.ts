import type { Trace } from '../../src/api.ts';
import { type SpanRow, waterfall } from './tree.ts';

/** The same call in two traces: how often and how long in each (milliseconds together). */
export interface ComparedCall {
  readonly service: string;
  readonly operation: string;
  readonly depth: number;
  readonly first?: { readonly count: number; readonly duration: number; readonly errors: number };
  readonly second?: { readonly count: number; readonly duration: number; readonly errors: number };
}

interface Call {
  readonly key: string;
  readonly parent: string;
  readonly service: string;
  readonly operation: string;
  readonly depth: number;
  readonly count: number;
  readonly duration: number;
  readonly errors: number;
}

/** Calls by the way that leads to them: the same service and operation below the same callers are one. */
function calls(trace: Pick<Trace, 'all'>): ReadonlyMap<string, Call> {
  const found = new Map<string, Call>();
  const way: string[] = [];
  for (const { span, depth } of waterfall(trace) as readonly SpanRow[]) {
    const parent = way[depth - 1] ?? '';
    const key = `${parent}\n${span.service} ${span.kind} ${span.operation}`;
    way[depth] = key;
    const before = found.get(key);
    found.set(key, {
      key,
      parent,
      service: span.service,
      operation: span.operation,
      depth,
      count: (before?.count ?? 0) + 1,
      duration: (before?.duration ?? 0) + span.duration,
      errors: (before?.errors ?? 0) + (span.error ? 1 : 0),
    });
  }
  return found;
}

/** Both traces call by call, in the order of the first; what only the second did stands with its caller. */
export function compareTraces(first: Pick<Trace, 'all'>, second: Pick<Trace, 'all'>): readonly ComparedCall[] {
  const left = calls(first);
  const right = calls(second);
  const children = Map.groupBy(new Map([...right, ...left]).values(), ({ parent }) => parent);
  const order = [...left.keys()];
  for (const list of children.values())
    list.sort(
      (a, b) =>
        (order.includes(a.key) ? order.indexOf(a.key) : 1e9) - (order.includes(b.key) ? order.indexOf(b.key) : 1e9),
    );
  const rows: ComparedCall[] = [];
  const visit = ({ key, service, operation, depth }: Call) => {
    const a = left.get(key);
    const b = right.get(key);
    rows.push({ service, operation, depth, ...(a ? { first: a } : {}), ...(b ? { second: b } : {}) });
    for (const child of children.get(key) ?? []) visit(child);
  };
  for (const root of children.get('') ?? []) visit(root);
  return rows;
}
