import { RE2JS } from 're2js';
import { quote } from './problems.ts';
import { maxRegexLength } from './schema/schema.ts';

const checked = new Map<string, string | undefined>();
const maxChecked = 2000;
/** Nested counted repetitions multiply an expression; the product of all counts stays below this. */
const maxRepeat = 1000;

/**
 * What is wrong with a regular expression of a user, or `undefined`. Envoy runs RE2, so RE2's syntax decides; JavaScript's
 * own engine never sees users' expressions.
 */
export function regexProblem(pattern: string): string | undefined {
  if (pattern.length > maxRegexLength) {
    return `the regular expression is longer than ${maxRegexLength} characters (it has ${pattern.length})`;
  }
  if (checked.has(pattern)) return checked.get(pattern);
  const problem = compileProblem(pattern);
  if (checked.size >= maxChecked) checked.clear();
  checked.set(pattern, problem);
  return problem;
}

function compileProblem(pattern: string): string | undefined {
  let product = 1;
  for (const [, low, high] of pattern.matchAll(/\{([0-9]+)(?:,([0-9]*))?\}/g)) {
    product *= Math.max(Number(low), Number(high || low), 1);
  }
  if (product > maxRepeat) {
    return `the regular expression ${quote(pattern)} repeats more than ${maxRepeat} times; use smaller counts`;
  }
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return `${quote(pattern)} is not an RE2 regular expression: ${error instanceof Error ? error.message : String(error)}`;
  }
}
