import { fitsPattern } from '../cli/wildcard.ts';

/** Lines of a log that say that something went wrong. */
export interface LogFindings {
  readonly errors: number;
  readonly critical: number;
  /** The first critical lines, else the first errors. */
  readonly examples: readonly string[];
}

// Levels as istiod, Envoy, JSON logs and klog write them.
const errorLine = /(\t|\[|\s|")(error|fatal|critical|panic)(\t|\]|\s|")|^[EF]\d{4} |\bpanic: /i;
const maxExamples = 3;

/** Counts the errors in lines. Patterns (with `*`) make lines critical or have them ignored. */
export function findErrors(
  lines: readonly string[],
  patterns: { readonly critical: readonly string[]; readonly ignored: readonly string[] },
): LogFindings {
  const contains = (list: readonly string[], line: string) => list.some((pattern) => fitsPattern(line, `*${pattern}*`));
  const errors: string[] = [];
  const critical: string[] = [];
  for (const line of lines) {
    const isCritical = contains(patterns.critical, line);
    if (!isCritical && (!errorLine.test(line) || contains(patterns.ignored, line))) continue;
    (isCritical ? critical : errors).push(line);
  }
  return {
    errors: errors.length,
    critical: critical.length,
    examples: [...critical, ...errors].slice(0, maxExamples).map((line) => line.slice(0, 300)),
  };
}
