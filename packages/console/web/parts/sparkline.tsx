import type { JSX } from 'preact';
import type { Series } from '../../src/api.ts';

/** A line of a few points without axes; an ornament, so hidden from screen readers. */
export function Sparkline({
  series,
  width = 96,
  height = 24,
}: {
  readonly series: Series | undefined;
  readonly width?: number;
  readonly height?: number;
}): JSX.Element | null {
  const points = series?.points ?? [];
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last || points.length < 2) return null;
  const most = Math.max(...points.map(([, value]) => value), 1e-9);
  const x = (time: number) => ((time - first[0]) / (last[0] - first[0] || 1)) * width;
  const y = (value: number) => height - 2 - (value / most) * (height - 4);
  const line = points
    .map(([time, value], index) => `${index === 0 ? 'M' : 'L'}${x(time).toFixed(1)} ${y(value).toFixed(1)}`)
    .join('');
  return (
    <svg class="sparkline" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <path class="area" d={`${line}V${height}H0Z`} />
      <path class="line" d={line} />
    </svg>
  );
}
