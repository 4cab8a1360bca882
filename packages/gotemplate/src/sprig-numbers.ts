import { toFloat64, toInt } from './convert.ts';
import { FunctionError } from './errors.ts';
import { type FunctionTable, fn, variadic } from './functions.ts';
import { bounded } from './sprig-data.ts';
import { type GoValue, toFloat } from './value.ts';

function steps(start: number, stop: number, step: number): number[] {
  if (step === 0 || (step > 0 ? stop < start : stop > start)) return [];
  return Array.from({ length: bounded(Math.ceil((stop - start) / step)) }, (_, i) => start + i * step);
}

function seq(params: readonly number[]): string {
  const [a, b, c] = params;
  if (a === undefined || params.length > 3) return '';
  if (b === undefined) return steps(1, a + (a < 1 ? -1 : 1), a < 1 ? -1 : 1).join(' ');
  if (c === undefined) return steps(a, b + (b < a ? -1 : 1), b < a ? -1 : 1).join(' ');
  if (c < a && b > 0) return '';
  return steps(a, c + (c < a ? -1 : 1), b).join(' ');
}

/** To 16 digits, of which those before the highest one count: 1 - 0.9 is 0.1. */
function rounded(value: number): number {
  return Number(
    Number(value.toPrecision(16)).toFixed(Math.max(0, Math.min(16, 16 - Math.trunc(Math.log10(Math.abs(value) + 1))))),
  );
}

/** Decimal arithmetic on doubles: rounded to 16 digits so that 0.1 + 0.2 is 0.3, as Sprig's decimal type gives it. */
function decimal(start: number, others: readonly GoValue[], step: (a: number, b: number) => number): GoValue {
  return toFloat(others.reduce<number>((sum, other) => rounded(step(sum, toFloat64(other))), start));
}

function divide(a: number, b: number, what: (a: number, b: number) => number): number {
  if (b === 0) throw new FunctionError('runtime error: integer divide by zero');
  return what(a, b);
}

function round(value: GoValue, places: number, roundOn: number): GoValue {
  const power = 10 ** places;
  const digit = power * toFloat64(value);
  return toFloat((digit - Math.trunc(digit) >= roundOn ? Math.ceil(digit) : Math.floor(digit)) / power);
}

export const NUMBER_FUNCTIONS: FunctionTable = {
  atoi: fn(['string'], (text) => (/^[+-]?\d+$/.test(text) ? Number(text) : 0)),
  int: fn(['any'], toInt),
  int64: fn(['any'], toInt),
  float64: fn(['any'], (value) => toFloat(toFloat64(value))),
  toDecimal: fn(['any'], (value) => {
    const text = typeof value === 'string' ? value : String(toInt(value));
    return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : 0;
  }),
  until: fn(['int'], (count) => steps(0, count, count < 0 ? -1 : 1)),
  untilStep: fn(['int', 'int', 'int'], steps),
  seq: variadic([], 'int', (_, params) => seq(params)),
  add1: fn(['any'], (value) => toInt(value) + 1),
  add: variadic([], 'any', (_, values) => values.reduce<number>((sum, value) => sum + toInt(value), 0)),
  sub: fn(['any', 'any'], (a, b) => toInt(a) - toInt(b)),
  mul: variadic(['any'], 'any', ([first], values) =>
    values.reduce<number>((product, value) => product * toInt(value), toInt(first)),
  ),
  div: fn(['any', 'any'], (a, b) => divide(toInt(a), toInt(b), (x, y) => Math.trunc(x / y))),
  mod: fn(['any', 'any'], (a, b) => divide(toInt(a), toInt(b), (x, y) => x % y)),
  add1f: fn(['any'], (value) => decimal(toFloat64(value), [1], (a, b) => a + b)),
  addf: variadic([], 'any', (_, values) => decimal(0, values, (a, b) => a + b)),
  subf: variadic(['any'], 'any', ([first], values) => decimal(toFloat64(first), values, (a, b) => a - b)),
  mulf: variadic(['any'], 'any', ([first], values) => decimal(toFloat64(first), values, (a, b) => a * b)),
  divf: variadic(['any'], 'any', ([first], values) =>
    decimal(toFloat64(first), values, (a, b) => divide(a, b, (x, y) => x / y)),
  ),
  max: variadic(['any'], 'any', ([first], values) => Math.max(toInt(first), ...values.map(toInt))),
  biggest: variadic(['any'], 'any', ([first], values) => Math.max(toInt(first), ...values.map(toInt))),
  min: variadic(['any'], 'any', ([first], values) => Math.min(toInt(first), ...values.map(toInt))),
  maxf: variadic(['any'], 'any', ([first], values) => toFloat(Math.max(toFloat64(first), ...values.map(toFloat64)))),
  minf: variadic(['any'], 'any', ([first], values) => toFloat(Math.min(toFloat64(first), ...values.map(toFloat64)))),
  floor: fn(['any'], (value) => toFloat(Math.floor(toFloat64(value)))),
  ceil: fn(['any'], (value) => toFloat(Math.ceil(toFloat64(value)))),
  round: variadic(['any', 'int'], 'float', ([value, places], options) => round(value, places, options[0] ?? 0.5)),
};
