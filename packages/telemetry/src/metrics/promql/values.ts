import type { Labels } from '../labels.ts';

/** A value of one series at the time of evaluation. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** Samples of one series in a range, oldest first, without stale markers. Times in milliseconds. */
export interface RangeSeries {
  readonly labels: Labels;
  readonly times: Float64Array;
  readonly values: Float64Array;
}

export interface ScalarValue {
  readonly type: 'scalar';
  readonly value: number;
}
export interface StringValue {
  readonly type: 'string';
  readonly value: string;
}
export interface VectorValue {
  readonly type: 'vector';
  readonly samples: readonly Sample[];
}
/** Ranges between `start` and `end`, milliseconds, both included. */
export interface MatrixValue {
  readonly type: 'matrix';
  readonly series: readonly RangeSeries[];
  readonly start: number;
  readonly end: number;
}

export type Value = ScalarValue | StringValue | VectorValue | MatrixValue;

/** A number as Prometheus writes it: without exponent, `+Inf`, `-Inf`, `NaN`. */
export function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  const found = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (!found) return text;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = found;
  const digits = whole + fraction;
  const point = whole.length + Number(exponent);
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  return (
    sign + (point >= digits.length ? digits.padEnd(point, '0') : `${digits.slice(0, point)}.${digits.slice(point)}`)
  );
}
