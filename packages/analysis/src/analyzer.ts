import type { AnalysisContext } from './context.ts';
import type { InputKind } from './input-kinds.ts';

/** One check. A pure function of what the context shows it; it reports what it finds and throws nothing. */
export interface Analyzer {
  /** Name for `--analyzer` and `--list-analyzers`, for example `service.PortNameAnalyzer`. */
  readonly name: string;
  /** One line: what it looks for. */
  readonly description: string;
  /** The kinds that it reads; nothing else is listed from the cluster. Kinds behind `context.services()` and `context.workloads()` must be named too: `serviceInputs`, `workloadInputs`. */
  readonly inputs: readonly InputKind[];
  /** It looks at one object at a time, so it still runs where some of its kinds may not be read. Others would take for missing what they cannot see, and are left out. */
  readonly eachAlone?: true;
  readonly run: (context: AnalysisContext) => void;
}
