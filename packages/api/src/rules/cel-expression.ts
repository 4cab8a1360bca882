import { Environment } from '@marcbachmann/cel-js';
import type { ProblemList } from '../problems.ts';

let shared: Environment | undefined;

/** An expression that is no CEL is an error. Whether its names and functions exist is for whoever computes it to say. */
export function checkCel(expression: string, path: string, problems: ProblemList): void {
  shared ??= new Environment({ unlistedVariablesAreDyn: true, limits: { maxAstNodes: 2000, maxDepth: 100 } });
  try {
    shared.parse(expression);
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    problems.error(path, `is no expression in CEL: ${reason.trim()}`);
  }
}
