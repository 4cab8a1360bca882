import { Environment, type ParseResult } from '@marcbachmann/cel-js';
import { isObject, type JsonObject } from '../json.ts';
import type { Schema } from '../schema/schema.ts';
import { registerKubernetesLibrary } from './library.ts';

let shared: Environment | undefined;

function environment(): Environment {
  if (shared === undefined) {
    const made = new Environment({
      unlistedVariablesAreDyn: true,
      homogeneousAggregateLiterals: false,
      enableOptionalTypes: true,
      limits: { maxAstNodes: 20_000, maxDepth: 200 },
    });
    registerKubernetesLibrary(made);
    shared = made;
  }
  return shared;
}

const parsed = new Map<string, ParseResult>();
const LITERALS = /(?:r|b|R|B)?("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|\bmatches\s*\(/g;

/** Calls of `matches` go to RE2; text in literals stays as it is. */
function withRe2(expression: string): string {
  return expression.replaceAll(LITERALS, (whole, literal: string | undefined) =>
    literal === undefined ? 'matchesRe2(' : whole,
  );
}

/** The parsed form of an expression, kept for later. Throws the library's `ParseError`. */
export function compileCel(expression: string): ParseResult {
  let found = parsed.get(expression);
  if (found === undefined) {
    if (parsed.size >= 4000) parsed.clear();
    found = environment().parse(withRe2(expression));
    parsed.set(expression, found);
  }
  return found;
}

/** Evaluates an expression. Throws an `Error` when it cannot be parsed or evaluated. */
export function evaluateCel(expression: string, variables: Readonly<Record<string, unknown>>): unknown {
  return compileCel(expression)(variables);
}

/** CEL's reserved words; fields of that name are written `__name__` in rules. */
const RESERVED = new Set([
  'true',
  'false',
  'null',
  'in',
  'as',
  'break',
  'const',
  'continue',
  'else',
  'for',
  'function',
  'if',
  'import',
  'let',
  'loop',
  'package',
  'namespace',
  'return',
  'var',
  'void',
  'while',
]);

function escaped(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`;
  if (!/[./-]|__/.test(name) || !/^[a-zA-Z_][\w./-]*$/.test(name)) return undefined;
  return name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
}

/** A JSON value as CEL sees it: integers as 64-bit integers, formats of the schema as timestamps and durations. */
export function toCel(value: unknown, schema?: Schema): unknown {
  if (typeof value === 'number') return Number.isInteger(value) && schema?.type !== 'number' ? BigInt(value) : value;
  if (typeof value === 'string') {
    if (schema?.format === 'date-time') return new Date(value);
    if (schema?.format === 'duration') return durationOf(value);
    return value;
  }
  if (Array.isArray(value)) return value.map((item) => toCel(item, schema?.items));
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  const additional = schema?.additionalProperties;
  for (const key of Object.keys(value)) {
    if (value[key] === undefined) continue;
    const property = schema?.properties?.[key];
    const item = toCel(value[key], property ?? (typeof additional === 'object' ? additional : undefined));
    result[key] = item;
    const alias = schema === undefined || property !== undefined ? escaped(key) : undefined;
    // Not enumerable: the alias must not count in comparisons and iterations.
    if (alias !== undefined) Object.defineProperty(result, alias, { value: item, enumerable: false });
  }
  return result;
}

function durationOf(value: string): unknown {
  return evaluateCel('duration(string(text))', { text: value });
}
