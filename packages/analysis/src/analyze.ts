import type { Analyzer } from './analyzer.ts';
import { analyzers as allAnalyzers } from './analyzers.ts';
import { AnalysisContext } from './context.ts';
import type { InputKind } from './input-kinds.ts';
import type { Message } from './message.ts';
import { levels } from './level.ts';
import type { Snapshot } from './snapshot.ts';
import { isSuppressed, type Suppression } from './suppression.ts';

export interface AnalyzeOptions {
  /** Default: all. */
  readonly analyzers?: readonly Analyzer[];
  readonly suppressions?: readonly Suppression[];
  /** Whether a message about an object of this namespace is wanted ('' for objects without one); default: all are. */
  readonly wanted?: (message: Message, namespace: string) => boolean;
}

/** The analysis of a snapshot. Pure; every analyzer that fails is a message (IST0001) instead of an exception. */
export function analyze(snapshot: Snapshot, options: AnalyzeOptions = {}): readonly Message[] {
  const steps = analyzeInSteps(snapshot, options);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** As `analyze`, analyzer by analyzer: whoever has more urgent things to do does them in between. */
export function* analyzeInSteps(
  snapshot: Snapshot,
  options: AnalyzeOptions = {},
): Generator<undefined, readonly Message[]> {
  const context = new AnalysisContext(snapshot);
  for (const { resource, error } of snapshot.forbidden)
    context.report(undefined, 'InsufficientPermissions', { resource, error });
  for (const analyzer of options.analyzers ?? allAnalyzers) {
    if (!analyzer.eachAlone && !analyzer.inputs.every((kind) => context.readable(kind))) continue;
    try {
      analyzer.run(context);
    } catch (error) {
      const detail = `${analyzer.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
      context.report(undefined, 'InternalError', { detail });
    }
    yield;
  }
  const { suppressions = [], wanted = () => true } = options;
  const seen = new Set<string>();
  return context.messages
    .filter((message) => wanted(message, namespaceOf(message)) && !isSuppressed(message, suppressions))
    .filter((message) => {
      const key = orderKey(message);
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    })
    .sort(byImportance);
}

/** Kinds that these analyzers read. */
export const inputsOf = (analyzers: readonly Analyzer[]): ReadonlySet<InputKind> =>
  new Set(analyzers.flatMap(({ inputs }) => inputs));

/** The namespace that a message concerns: that of its object, or its object where that is a namespace itself. */
const namespaceOf = ({ object }: Message): string =>
  object === undefined ? '' : object.kind === 'Namespace' ? object.name : object.namespace;

const orderKey = ({ code, object, path, text, cluster }: Message): string =>
  JSON.stringify([code, cluster, object?.kind, object?.namespace, object?.name, path, text]);

/** Errors first, then by code, object and place. */
function byImportance(a: Message, b: Message): number {
  const compare = (x: string | number, y: string | number): number => (x < y ? -1 : x > y ? 1 : 0);
  return (
    levels.indexOf(b.level) - levels.indexOf(a.level) ||
    compare(a.code, b.code) ||
    compare(a.object?.namespace ?? '', b.object?.namespace ?? '') ||
    compare(a.object?.kind ?? '', b.object?.kind ?? '') ||
    compare(a.object?.name ?? '', b.object?.name ?? '') ||
    compare(a.file ?? '', b.file ?? '') ||
    compare(a.line ?? 0, b.line ?? 0) ||
    a.path.localeCompare(b.path, 'en', { numeric: true }) ||
    compare(a.text, b.text)
  );
}
