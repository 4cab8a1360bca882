import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { TraceSummary } from '../../src/api.ts';
import { clock, milliseconds } from '../state/format.ts';
import { href, navigate } from '../state/router.ts';
import { t } from '../texts.ts';

const height = 180;
const inset = { left: 64, right: 16, top: 12, bottom: 24 } as const;

/** A round distance (1, 2 or 5 times a power of ten) at which up to five lines go up to `most`. */
function tickStep(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most / 5));
  return power * ([1, 2, 5].find((times) => times * power * 5 >= most) ?? 10);
}

/** Durations over time: outliers are seen at once. Red: with errors; larger: more spans. */
export function Scatter({
  traces,
  marked,
}: {
  readonly traces: readonly TraceSummary[];
  readonly marked: ReadonlySet<string>;
}): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(800);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const starts = traces.map(({ start }) => start);
  const from = Math.min(...starts);
  const to = Math.max(...starts, from + 1000);
  const slowest = Math.max(...traces.map(({ duration }) => duration), 1);
  const step = tickStep(slowest);
  const ticks = Array.from({ length: Math.floor(slowest / step) + 1 }, (_, index) => index * step);
  const longest = slowest * 1.1;
  const x = (time: number) => inset.left + ((time - from) / (to - from)) * (width - inset.left - inset.right);
  const y = (duration: number) => inset.top + (1 - duration / longest) * (height - inset.top - inset.bottom);
  const most = Math.max(...traces.map(({ spans }) => spans), 1);
  return (
    <div ref={box} class="scatter">
      <svg width={width} height={height} role="group" aria-label={t.traces.scatter}>
        {ticks.map((tick) => (
          <g key={tick}>
            <line class="grid" x1={inset.left} x2={width - inset.right} y1={y(tick)} y2={y(tick)} />
            <text class="tick" x={inset.left - 8} y={y(tick) + 4} text-anchor="end">
              {tick === 0 ? '0' : milliseconds(tick)}
            </text>
          </g>
        ))}
        {(width < 500 ? [0, 1] : [0, 0.25, 0.5, 0.75, 1]).map((part) => (
          <text
            key={part}
            class="tick"
            x={x(from + (to - from) * part)}
            y={height - 6}
            text-anchor={part === 0 ? 'start' : part === 1 ? 'end' : 'middle'}
          >
            {clock(from + (to - from) * part)}
          </text>
        ))}
        {traces.map((trace) => (
          <a
            key={trace.id}
            href={href(`/traces/${trace.id}`)}
            aria-label={t.traces.dot(trace.operation, milliseconds(trace.duration))}
            onClick={(event) => {
              event.preventDefault();
              navigate(href(`/traces/${trace.id}`));
            }}
          >
            <circle
              class={`${trace.errors > 0 ? 'dot error' : 'dot'} ${marked.has(trace.id) ? 'marked' : ''}`}
              cx={x(trace.start)}
              cy={y(trace.duration)}
              r={4 + 5 * Math.sqrt(trace.spans / most)}
            >
              <title>{`${trace.root}: ${trace.operation}\n${milliseconds(trace.duration)} · ${clock(trace.start)}`}</title>
            </circle>
          </a>
        ))}
      </svg>
    </div>
  );
}
