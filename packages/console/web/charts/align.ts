import type { Series } from '../../src/api.ts';

/** Columns for a chart: seconds, then a column of values per series; null where a series has no point. */
export type Columns = [number[], ...(number | null)[][]];

/** Puts series with points of their own onto one axis of time. Where a gap is longer than three usual steps, lines break. */
export function aligned(series: readonly Series[]): Columns {
  const times = [...new Set(series.flatMap(({ points }) => points.map(([time]) => time)))].sort((a, b) => a - b);
  const at = new Map(times.map((time, index) => [time, index]));
  const columns = series.map(({ points }) => {
    const column: (number | null)[] = new Array(times.length).fill(null);
    for (const [time, value] of points) {
      const index = at.get(time);
      if (index !== undefined) column[index] = Number.isFinite(value) ? value : null;
    }
    return column;
  });
  return [times.map((time) => time / 1000), ...columns];
}

/** Sums from the first series up, for stacked areas; gaps count as nothing. */
export function stacked([times, ...columns]: Columns): Columns {
  const sums = new Array<number>(times.length).fill(0);
  return [
    times,
    ...columns.map((column) =>
      column.map((value, index) => {
        const sum = (sums[index] ?? 0) + (value ?? 0);
        sums[index] = sum;
        // Not a gap: what is stacked on it would have nothing to stand on and lose its area.
        return sum;
      }),
    ),
  ];
}
