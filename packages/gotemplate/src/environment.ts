import type { FunctionTable } from './functions.ts';
import type { TemplateTree } from './nodes.ts';

/** What one execution may use up before it is stopped with an error. */
export interface Limits {
  /** Templates calling templates, by `template` or `include`. */
  readonly depth: number;
  /** Length of the output in UTF-16 units. */
  readonly output: number;
  /** Nodes and commands evaluated. */
  readonly steps: number;
}

export const DEFAULT_LIMITS: Limits = { depth: 500, output: 64 * 1024 * 1024, steps: 20_000_000 };

/** Used-up amounts, shared by an execution and the templates it includes. */
export interface Usage {
  depth: number;
  output: number;
  steps: number;
}

/** What a template runs in. */
export interface Environment {
  readonly functions: FunctionTable;
  /** `default`: a missing key is "no value"; `zero`: it is nil (Helm); `error`: it is an error. */
  readonly missingKey: 'default' | 'zero' | 'error';
  readonly limits: Limits;
  readonly usage: Usage;
  readonly lookup: (name: string) => TemplateTree | undefined;
}
