import { RE2JS } from 're2js';
import { type Labels, labelsText, labelValue } from '../labels.ts';

export type MatchOperator = '=' | '!=' | '=~' | '!~';

/** A condition on one label. A label that is not there has the value ''. */
export interface Matcher {
  readonly name: string;
  readonly operator: MatchOperator;
  readonly value: string;
  readonly matches: (value: string) => boolean;
}

/** A regular expression that cannot be read. */
export class PatternError extends Error {
  constructor(pattern: string, reason: string) {
    super(`${JSON.stringify(pattern)} is not a regular expression of RE2: ${reason}`);
    this.name = 'PatternError';
  }
}

const MAX_PATTERN = 10_000;
const literal = /^[\w\-/:, @~%"'<>=!&;]*$/;

/** A whole value matches, as in Prometheus. Linear in the length of the value: expressions come from users. */
function compile(pattern: string): (value: string) => boolean {
  if (pattern.length > MAX_PATTERN)
    throw new PatternError(`${pattern.slice(0, 50)}...`, `it is longer than ${MAX_PATTERN}`);
  if (pattern === '.*') return (value) => !value.includes('\n');
  if (pattern === '.+') return (value) => value !== '' && !value.includes('\n');
  const words = pattern.split('|').map((word) => word.replaceAll('\\.', '.').replaceAll('\\-', '-'));
  if (pattern.split('|').every((word) => literal.test(word.replaceAll('\\.', '').replaceAll('\\-', '')))) {
    const set = new Set(words);
    return (value) => set.has(value);
  }
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (error) {
    throw new PatternError(pattern, error instanceof Error ? error.message : String(error));
  }
  const known = new Map<string, boolean>();
  return (value) => {
    const before = known.get(value);
    if (before !== undefined) return before;
    const found = compiled.matches(value);
    if (known.size > 10_000) known.clear();
    known.set(value, found);
    return found;
  };
}

/** Raises PatternError. */
export function matcher(name: string, operator: MatchOperator, value: string): Matcher {
  const base = { name, operator, value };
  switch (operator) {
    case '=':
      return { ...base, matches: (found) => found === value };
    case '!=':
      return { ...base, matches: (found) => found !== value };
    case '=~':
      return { ...base, matches: compile(value) };
    case '!~': {
      const matches = compile(value);
      return { ...base, matches: (found) => !matches(found) };
    }
    default:
      return operator satisfies never;
  }
}

export const matchesAll = (labels: Labels, matchers: readonly Matcher[]): boolean =>
  matchers.every(({ name, matches }) => matches(labelValue(labels, name)));

/** A regular expression over whole values, with what its groups found for `$1`; undefined: no match. */
export function anchoredPattern(pattern: string): (value: string, replacement: string) => string | undefined {
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (error) {
    throw new PatternError(pattern, error instanceof Error ? error.message : String(error));
  }
  const groups: Readonly<Record<string, number>> = compiled.namedGroups();
  return (value, replacement) => {
    const found = compiled.matcher(value);
    if (!found.matches()) return undefined;
    return replacement.replace(
      /\$(?:\$|(\w+)|\{(\w+)\})/g,
      (whole, plain: string | undefined, braced: string | undefined) => {
        if (whole === '$$') return '$';
        const name = plain ?? braced ?? '';
        const index = /^\d+$/.test(name) ? Number(name) : groups[name];
        return index === undefined || index > found.groupCount() ? '' : (found.group(index) ?? '');
      },
    );
  };
}

export const matchersText = (matchers: readonly Matcher[]): string =>
  labelsText([]).replace(
    '}',
    `${matchers.map(({ name, operator, value }) => `${name}${operator}${JSON.stringify(value)}`).join(',')}}`,
  );
