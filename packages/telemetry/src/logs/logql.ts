import { RE2JS } from 're2js';
import { matcher as createMatcher, type Matcher } from '../metrics/storage/matcher.ts';

/** A query that cannot be read, or that asks for what is not built. */
export class LogQueryError extends Error {}

export type Labels = Readonly<Record<string, string>>;

/** Turns an entry into what the next stage gets; undefined leaves it out. */
export type Stage = (line: string, labels: Labels) => Labels | undefined;

export interface LogQuery {
  readonly kind: 'log';
  readonly matchers: readonly Matcher[];
  readonly stages: readonly Stage[];
}

export interface CountQuery {
  readonly kind: 'metric';
  readonly of: LogQuery;
  readonly what: 'entries' | 'bytes';
  readonly perSecond: boolean;
  readonly rangeMs: number;
  /** Labels that are left after adding up; undefined: nothing is added up. */
  readonly by: readonly string[] | undefined;
}

const FUNCTIONS = {
  count_over_time: { what: 'entries', perSecond: false },
  rate: { what: 'entries', perSecond: true },
  bytes_over_time: { what: 'bytes', perSecond: false },
  bytes_rate: { what: 'bytes', perSecond: true },
} as const;

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `1h30m` in milliseconds; undefined for what is no duration. */
export function durationMs(text: string): number | undefined {
  if (!/^(?:\d+(?:ms|[smhdw]))+$/.test(text)) return undefined;
  return [...text.matchAll(/(\d+)(ms|[smhdw])/g)].reduce(
    (sum, [, n, unit]) => sum + Number(n) * (UNITS_MS[unit ?? ''] ?? 0),
    0,
  );
}

const TOKEN =
  /\s+|"(?:[^"\\\n]|\\.)*"|`[^`]*`|\|=|\|~|!=|!~|=~|==|>=|<=|[{}()[\],=<>|]|\d+(?:ms|[smhdw])(?:\d+(?:ms|[smhdw]))*|-?\d+(?:\.\d+)?|[A-Za-z_][\w.]*/y;

function tokens(text: string): readonly string[] {
  const found: string[] = [];
  TOKEN.lastIndex = 0;
  for (let at = 0; at < text.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const [token] = TOKEN.exec(text) ?? [];
    if (token === undefined) throw new LogQueryError(`parse error at ${JSON.stringify(text.slice(at, at + 20))}`);
    if (token.trim() !== '') found.push(token);
  }
  return found;
}

const MAX_PATTERN = 10_000;

function contains(pattern: string): (line: string) => boolean {
  if (pattern.length > MAX_PATTERN) throw new LogQueryError('the regular expression is too long');
  try {
    const compiled = RE2JS.compile(pattern);
    return (line) => compiled.matcher(line).find();
  } catch (error) {
    throw new LogQueryError(
      `${JSON.stringify(pattern)} is no regular expression: ${error instanceof Error ? error.message : error}`,
    );
  }
}

const labelOf = (name: string): string => name.replace(/[^a-zA-Z0-9_]/g, '_').replace(/^(?=\d)/, '_');

/** The values of a JSON object as labels: `{"a": {"b": 1}}` has `a_b`. Lists are left out. */
function jsonLabels(line: string): Labels {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return { __error__: 'JSONParserErr' };
  }
  const found: Record<string, string> = {};
  const walk = (value: unknown, name: string): void => {
    if (typeof value !== 'object' || value === null) {
      if (name !== '' && value !== null) found[name] = String(value);
    } else if (!Array.isArray(value))
      for (const [key, inner] of Object.entries(value))
        walk(inner, name === '' ? labelOf(key) : `${name}_${labelOf(key)}`);
  };
  walk(parsed, '');
  return found;
}

function logfmtLabels(line: string): Labels {
  const found: Record<string, string> = {};
  for (const [, key = '', value = ''] of line.matchAll(/([^\s="]+)=("(?:[^"\\]|\\.)*"|\S*)/g)) {
    let plain = value;
    if (value.startsWith('"'))
      try {
        plain = String(JSON.parse(value));
      } catch {
        plain = value.slice(1, -1);
      }
    found[labelOf(key)] = plain;
  }
  return found;
}

/** Labels of the stream stay; one of the line with the same name is called `NAME_extracted`. */
const extracted =
  (read: (line: string) => Labels): Stage =>
  (line, labels) => {
    const found = read(line);
    return {
      ...Object.fromEntries(
        Object.entries(found).map(([name, value]) => [Object.hasOwn(labels, name) ? `${name}_extracted` : name, value]),
      ),
      ...labels,
    };
  };

/** Reads queries of LogQL by recursive descent. */
class Parser {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokens(text);
  }

  query(): LogQuery | CountQuery {
    const found = this.#peek() === '{' ? this.#log() : this.#metric();
    const rest = this.#peek();
    if (rest !== undefined) throw this.#unbuilt(rest);
    return found;
  }

  /** Only what is in braces. */
  selector(): readonly Matcher[] {
    const matchers = this.#matchers();
    if (this.#peek() !== undefined) throw this.#unbuilt(this.#peek() ?? '');
    return matchers;
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at];
  }

  #next(wanted?: string): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new LogQueryError(`the query ends where ${wanted ?? 'something'} should follow`);
    if (wanted !== undefined && token !== wanted) throw new LogQueryError(`${token} is where ${wanted} should be`);
    return token;
  }

  #unbuilt(token: string): LogQueryError {
    return new LogQueryError(
      `${token} is not built here: there are selectors, |= != |~ !~, | json, | logfmt, comparisons of labels, count_over_time, rate, bytes_over_time, bytes_rate, and sum by`,
    );
  }

  #text(): string {
    const token = this.#next();
    if (token.startsWith('`')) return token.slice(1, -1);
    if (!token.startsWith('"')) throw new LogQueryError(`${token} is where a text in quotes should be`);
    try {
      return String(JSON.parse(token));
    } catch {
      throw new LogQueryError(`${token} has an escape that is none`);
    }
  }

  #matchers(): readonly Matcher[] {
    this.#next('{');
    const found: Matcher[] = [];
    while (this.#peek() !== '}') {
      if (found.length > 0) this.#next(',');
      const name = this.#next();
      found.push(this.#matcher(name, this.#next()));
    }
    this.#next('}');
    if (!found.some(({ matches }) => !matches('')))
      throw new LogQueryError('queries require at least one matcher that does not match the empty value');
    return found;
  }

  #matcher(name: string, operator: string): Matcher {
    if (operator !== '=' && operator !== '!=' && operator !== '=~' && operator !== '!~')
      throw new LogQueryError(`${operator} is where =, !=, =~ or !~ should be`);
    const value = this.#text();
    try {
      return createMatcher(name, operator, value);
    } catch (error) {
      throw new LogQueryError(error instanceof Error ? error.message : String(error));
    }
  }

  #log(): LogQuery {
    const matchers = this.#matchers();
    const stages: Stage[] = [];
    for (let token = this.#peek(); token !== undefined; token = this.#peek()) {
      const stage = this.#stage(token);
      if (stage === undefined) break;
      stages.push(stage);
    }
    return { kind: 'log', matchers, stages };
  }

  #stage(token: string): Stage | undefined {
    switch (token) {
      case '|=':
      case '!=': {
        this.#next();
        const text = this.#text();
        return (line, labels) => (line.includes(text) === (token === '|=') ? labels : undefined);
      }
      case '|~':
      case '!~': {
        this.#next();
        const matches = contains(this.#text());
        return (line, labels) => (matches(line) === (token === '|~') ? labels : undefined);
      }
      case '|': {
        this.#next();
        const name = this.#next();
        if (name === 'json') return extracted(jsonLabels);
        if (name === 'logfmt') return extracted(logfmtLabels);
        if (!/^[A-Za-z_]\w*$/.test(name) || this.#peek() === undefined || this.#peek() === '|')
          throw this.#unbuilt(name);
        return this.#comparison(name);
      }
      default:
        return undefined;
    }
  }

  #comparison(name: string): Stage {
    const operator = this.#next();
    const to = this.#peek() ?? '';
    if (/^["`]/.test(to)) {
      const { matches } = this.#matcher(name, operator);
      return (_, labels) => (matches(labels[name] ?? '') ? labels : undefined);
    }
    const limit = Number(to);
    const compare: Readonly<Record<string, (value: number) => boolean>> = {
      '=': (value) => value === limit,
      '==': (value) => value === limit,
      '!=': (value) => value !== limit,
      '>': (value) => value > limit,
      '>=': (value) => value >= limit,
      '<': (value) => value < limit,
      '<=': (value) => value <= limit,
    };
    const holds = compare[operator];
    if (holds === undefined || to === '' || Number.isNaN(limit))
      throw this.#unbuilt(`${name} ${operator} ${to}`.trim());
    this.#next();
    return (_, labels) => {
      const value = labels[name];
      return value !== undefined && value !== '' && holds(Number(value)) ? labels : undefined;
    };
  }

  #metric(): CountQuery {
    let by: readonly string[] | undefined;
    let name = this.#next();
    const isSum = name === 'sum';
    if (isSum) {
      by = this.#by() ?? [];
      this.#next('(');
      name = this.#next();
    }
    if (!Object.hasOwn(FUNCTIONS, name)) throw this.#unbuilt(name);
    const { what, perSecond } = FUNCTIONS[name as keyof typeof FUNCTIONS];
    this.#next('(');
    const of = this.#log();
    this.#next('[');
    const range = this.#next();
    const rangeMs = durationMs(range);
    if (rangeMs === undefined || rangeMs === 0) throw new LogQueryError(`${range} is no duration`);
    this.#next(']');
    this.#next(')');
    if (isSum) {
      this.#next(')');
      const after = this.#by();
      if (after !== undefined) by = after;
    }
    return { kind: 'metric', of, what, perSecond, rangeMs, by };
  }

  #by(): readonly string[] | undefined {
    if (this.#peek() !== 'by') return undefined;
    this.#next();
    this.#next('(');
    const names: string[] = [];
    while (this.#peek() !== ')') {
      if (names.length > 0) this.#next(',');
      names.push(this.#next());
    }
    this.#next(')');
    return names;
  }
}

/** Reads a query. Raises LogQueryError. */
export const parseLogQuery = (text: string): LogQuery | CountQuery => new Parser(text).query();

/** Reads the selector of streams, `{app="a"}`. Raises LogQueryError. */
export const parseSelector = (text: string): readonly Matcher[] => new Parser(text).selector();

/** The labels of an entry after all stages; undefined where one of them leaves it out. */
export function pass(query: LogQuery, line: string, labels: Labels): Labels | undefined {
  let current: Labels | undefined = labels;
  for (const stage of query.stages) {
    current = stage(line, current);
    if (current === undefined) return undefined;
  }
  return current;
}
