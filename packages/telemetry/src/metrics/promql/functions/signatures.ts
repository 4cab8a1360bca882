import type { ValueType } from '../ast.ts';

export interface Signature {
  readonly args: readonly ValueType[];
  /** So many of the last arguments may be left out. */
  readonly optional?: number;
  /** The last argument may be repeated. */
  readonly variadic?: boolean;
  readonly returns: ValueType;
}

const perVector: Signature = { args: ['vector'], returns: 'vector' };
const perRange: Signature = { args: ['matrix'], returns: 'vector' };
const perTime: Signature = { args: ['vector'], optional: 1, returns: 'vector' };
const named = (names: string, signature: Signature): Record<string, Signature> =>
  Object.fromEntries(names.split(' ').map((name) => [name, signature]));

/** The functions of this store: what they take and give (Prometheus' documentation, "Query functions"). */
export const signatures: Readonly<Record<string, Signature>> = {
  ...named(
    'abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor ln log10 log2 rad sgn sin sinh sort sort_desc sqrt tan tanh timestamp',
    perVector,
  ),
  ...named(
    'absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase irate last_over_time mad_over_time max_over_time min_over_time present_over_time rate resets stddev_over_time stdvar_over_time sum_over_time',
    perRange,
  ),
  ...named('day_of_month day_of_week day_of_year days_in_month hour minute month year', perTime),
  clamp: { args: ['vector', 'scalar', 'scalar'], returns: 'vector' },
  clamp_max: { args: ['vector', 'scalar'], returns: 'vector' },
  clamp_min: { args: ['vector', 'scalar'], returns: 'vector' },
  histogram_quantile: { args: ['scalar', 'vector'], returns: 'vector' },
  label_join: { args: ['vector', 'string', 'string', 'string'], optional: 1, variadic: true, returns: 'vector' },
  label_replace: { args: ['vector', 'string', 'string', 'string', 'string'], returns: 'vector' },
  pi: { args: [], returns: 'scalar' },
  predict_linear: { args: ['matrix', 'scalar'], returns: 'vector' },
  quantile_over_time: { args: ['scalar', 'matrix'], returns: 'vector' },
  round: { args: ['vector', 'scalar'], optional: 1, returns: 'vector' },
  scalar: { args: ['vector'], returns: 'scalar' },
  time: { args: [], returns: 'scalar' },
  vector: { args: ['scalar'], returns: 'vector' },
};
