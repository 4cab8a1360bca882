import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { palette } from '../charts/palette.ts';
import { clock } from '../state/format.ts';
import { dark } from '../state/settings.ts';
import type { Answer } from './prometheus.ts';

/** Rows of a heatmap from the lowest bucket up; `values[row][column]` per time. */
export interface Heat {
  readonly times: readonly number[];
  readonly rows: readonly { readonly upper: number; readonly values: readonly number[] }[];
  readonly most: number;
}

/** Buckets of a histogram are sums up to their bound: what falls into each one is the difference to the one below. */
export function heatOf(answers: readonly Answer[]): Heat {
  const buckets = answers
    .filter(({ labels }) => labels.le !== undefined)
    .map(({ labels, points }) => ({
      upper: labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le),
      points: new Map(points),
    }))
    .sort((a, b) => a.upper - b.upper);
  const times = [...new Set(buckets.flatMap(({ points }) => [...points.keys()]))].sort((a, b) => a - b);
  const rows = buckets.map(({ upper, points }, index) => ({
    upper,
    values: times.map((time) =>
      Math.max(0, (points.get(time) ?? 0) - (index === 0 ? 0 : (buckets[index - 1]?.points.get(time) ?? 0))),
    ),
  }));
  const first = rows.findIndex(({ values }) => values.some((value) => value > 0));
  const last = rows.findLastIndex(({ values }) => values.some((value) => value > 0));
  const used = first < 0 ? [] : rows.slice(Math.max(0, first - 1), last + 1);
  return { times, rows: used, most: Math.max(...used.flatMap(({ values }) => values), 0) };
}

const left = 64;
const bottom = 20;

export function Heatmap({
  label,
  answers,
  format,
  height,
}: {
  readonly label: string;
  readonly answers: readonly Answer[];
  readonly format: (value: number) => string;
  readonly height: number;
}): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const heat = useMemo(() => heatOf(answers), [answers]);
  const isDark = dark.value;
  useEffect(() => {
    const host = canvas.current?.parentElement;
    if (!host) return;
    const observer = new ResizeObserver(() => setWidth(host.clientWidth));
    observer.observe(host);
    return () => observer.disconnect();
  }, []);
  // Other colours are drawn again.
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext('2d');
    if (!element || !context || width === 0) return;
    const ratio = devicePixelRatio || 1;
    element.width = width * ratio;
    element.height = height * ratio;
    element.style.width = `${width}px`;
    element.style.height = `${height}px`;
    context.scale(ratio, ratio);
    context.clearRect(0, 0, width, height);
    const colours = palette();
    const cellWidth = (width - left - 6) / Math.max(heat.times.length, 1);
    const cellHeight = (height - bottom - 6) / Math.max(heat.rows.length, 1);
    context.font = colours.font;
    for (const [index, row] of heat.rows.entries()) {
      const y = 6 + (heat.rows.length - 1 - index) * cellHeight;
      for (const [column, value] of row.values.entries()) {
        if (value <= 0) continue;
        context.globalAlpha = 0.12 + 0.88 * Math.sqrt(value / heat.most);
        context.fillStyle = colours.accent;
        context.fillRect(left + column * cellWidth, y, Math.max(cellWidth - 0.5, 1), Math.max(cellHeight - 1, 1));
      }
      context.globalAlpha = 1;
      context.fillStyle = colours.faint;
      context.textAlign = 'right';
      if (cellHeight >= 13 || index % Math.ceil(13 / cellHeight) === 0)
        context.fillText(Number.isFinite(row.upper) ? format(row.upper) : '∞', left - 6, y + 9);
    }
    context.textAlign = 'center';
    for (const part of [0.1, 0.5, 0.9]) {
      const time = heat.times[Math.floor((heat.times.length - 1) * part)];
      if (time !== undefined) context.fillText(clock(time).slice(0, 5), left + (width - left) * part, height - 6);
    }
  }, [heat, width, height, isDark, format]);
  return (
    <div class="heatmap">
      <canvas ref={canvas} role="img" aria-label={label} />
    </div>
  );
}
