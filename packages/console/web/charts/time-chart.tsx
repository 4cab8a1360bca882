import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import type { Series } from '../../src/api.ts';
import { clock } from '../state/format.ts';
import { dark } from '../state/settings.ts';
import { t } from '../texts.ts';
import { aligned, stacked } from './align.ts';
import { palette } from './palette.ts';

export interface TimeChartProps {
  readonly label: string;
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
  readonly height?: number;
  readonly stack?: boolean;
  readonly fill?: boolean;
  readonly min?: number;
  readonly max?: number;
  readonly legend?: 'list' | 'none';
  /** Called with the times (milliseconds) of a range that was drawn with the pointer. */
  readonly onRange?: (from: number, to: number) => void;
  readonly thresholds?: readonly { readonly value: number; readonly colour: string }[];
}

/** Charts that share the pointer's time. */
const together = uPlot.sync('time');

/** Lines over time, with a legend that shows the values under the pointer and hides series on a click; its numbers are in a table for screen readers. */
export function TimeChart(props: TimeChartProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [pointer, setPointer] = useState<number | undefined>(undefined);
  const isDark = dark.value;
  const labels = props.series.map(({ label }) => label).join('\n');
  const raw = useMemo(() => aligned(props.series), [props.series]);
  const data = useMemo(() => (props.stack ? stacked(raw) : raw), [raw, props.stack]);
  const current = useRef(props);
  current.current = props;

  // The chart is made anew when its series or colours change, and only then.
  useEffect(() => {
    const host = box.current;
    if (!host) return;
    const colours = palette();
    const axis: uPlot.Axis = {
      stroke: colours.faint,
      font: colours.font,
      grid: { stroke: colours.line, width: 1 },
      ticks: { show: false },
    };
    const made = new uPlot(
      {
        width: Math.max(host.clientWidth, 50),
        height: props.height ?? 180,
        padding: [10, 18, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          points: { size: 6 },
          drag: { x: props.onRange !== undefined, y: false, setScale: false },
          sync: { key: together.key },
        },
        scales: {
          x: { time: true },
          y: {
            range: (_chart, low, high) => {
              const least = current.current.min ?? Math.min(0, low ?? 0);
              const most =
                current.current.max ?? ((high ?? 0) <= least ? least + 1 : least + ((high ?? 0) - least) * 1.08);
              return [least, most];
            },
          },
        },
        axes: [
          { ...axis, grid: { show: false }, space: 64, size: 26, values: '{HH}:{mm}', incrs: timeSteps },
          {
            ...axis,
            size: 58,
            space: 34,
            values: (_chart, values) => values.map((value) => current.current.format(value)),
          },
        ],
        series: [
          {},
          ...props.series.map(({ label }, index): uPlot.Series => {
            const colour = colours.series[index % colours.series.length] ?? colours.accent;
            return {
              label,
              stroke: colour,
              width: 1.5,
              spanGaps: false,
              points: { show: false },
              ...(props.stack
                ? { fill: `${colour}66` }
                : props.fill && props.series.length <= 4
                  ? { fill: `${colour}18` }
                  : {}),
            };
          }),
        ],
        // Each area ends where the one below begins.
        bands: props.stack
          ? props.series.slice(1).map((_, index) => ({ series: [index + 2, index + 1] as [number, number] }))
          : [],
        hooks: {
          setCursor: [(chart) => setPointer(chart.cursor.idx ?? undefined)],
          setSelect: [
            (chart) => {
              if (chart.select.width < 6) return;
              const from = chart.posToVal(chart.select.left, 'x') * 1000;
              const to = chart.posToVal(chart.select.left + chart.select.width, 'x') * 1000;
              chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              current.current.onRange?.(from, to);
            },
          ],
          draw: [
            (chart) => {
              for (const { value, colour } of current.current.thresholds ?? []) {
                const y = chart.valToPos(value, 'y', true);
                if (y < chart.bbox.top || y > chart.bbox.top + chart.bbox.height) continue;
                chart.ctx.save();
                chart.ctx.strokeStyle = colour;
                chart.ctx.setLineDash([4, 4]);
                chart.ctx.beginPath();
                chart.ctx.moveTo(chart.bbox.left, y);
                chart.ctx.lineTo(chart.bbox.left + chart.bbox.width, y);
                chart.ctx.stroke();
                chart.ctx.restore();
              }
            },
          ],
        },
      },
      data as uPlot.AlignedData,
      host,
    );
    plot.current = made;
    const resize = new ResizeObserver(() => {
      if (host.clientWidth > 0) made.setSize({ width: host.clientWidth, height: props.height ?? 180 });
    });
    resize.observe(host);
    return () => {
      resize.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [labels, isDark, props.stack, props.height]);

  useEffect(() => {
    plot.current?.setData(data as uPlot.AlignedData);
  }, [data]);
  useEffect(() => {
    for (const [index, { label }] of props.series.entries())
      plot.current?.setSeries(index + 1, { show: !hidden.has(label) });
  }, [hidden, props.series]);

  const at = pointer ?? raw[0].length - 1;
  const time = raw[0][at];
  return (
    <figure class="chart" role="group" aria-label={props.label}>
      <div ref={box} aria-hidden="true" />
      {props.legend !== 'none' && (
        <ul class="legend">
          {props.series.map(({ label }, index) => {
            const value = lastValue(raw[index + 1], at);
            return (
              <li key={label}>
                <button
                  type="button"
                  aria-pressed={!hidden.has(label)}
                  onClick={() => {
                    const next = new Set(hidden);
                    if (!next.delete(label)) next.add(label);
                    setHidden(next);
                  }}
                >
                  <i class={`swatch s${(index % 8) + 1}`} />
                  <span class="clip" title={label}>
                    {label}
                  </span>
                  <b>{value === undefined ? '–' : props.format(value)}</b>
                </button>
              </li>
            );
          })}
          {pointer !== undefined && time !== undefined && <li class="faint time">{clock(time * 1000)}</li>}
        </ul>
      )}
      <table class="hidden-visually">
        <caption>{props.label}</caption>
        <tbody>
          {props.series.map(({ label }, index) => {
            const value = lastValue(raw[index + 1], raw[0].length - 1);
            return (
              <tr key={label}>
                <th scope="row">{label}</th>
                <td>{value === undefined ? t.common.none : props.format(value)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </figure>
  );
}

const timeSteps = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** The value at an index, or the one before it where this series has no point. */
function lastValue(column: readonly (number | null)[] | undefined, index: number): number | undefined {
  for (let at = index; at >= 0 && at > index - 4; at -= 1) {
    const value = column?.[at];
    if (value !== null && value !== undefined) return value;
  }
  return undefined;
}
