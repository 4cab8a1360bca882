import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Select } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { clock, span } from '../state/format.ts';
import { queryValue, setQuery } from '../state/router.ts';
import { t } from '../texts.ts';

const windows = [600, 1800, 3600, 10_800, 21_600] as const;
/** Steps of the slider in its whole window, and seconds between two of them while it plays. */
const steps = 120;
const perStep = 1.2;

/** Shows the graph as it was: a slider over a window of the past that ends where the replay was begun. */
export function Replay({ at }: { readonly at: number }): JSX.Element {
  const window = Number(queryValue('window', '1800')) || 1800;
  const end = Number(queryValue('until')) || at;
  const [playing, setPlaying] = useState(false);
  const step = (window * 1000) / steps;
  const start = end - window * 1000;
  const value = Math.min(Math.max(at, start), end);
  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => {
      if (document.hidden) return;
      const next = Number(queryValue('at')) + step;
      if (next > end) setPlaying(false);
      else setQuery({ at: String(Math.round(next)) });
    }, perStep * 1000);
    return () => clearInterval(timer);
  }, [playing, step, end]);
  return (
    <div class="replay" role="group" aria-label={t.graph.replay}>
      <button
        type="button"
        class="button icon"
        aria-label={playing ? t.graph.pause : t.graph.play}
        onClick={() => setPlaying(!playing)}
      >
        <Icon name={playing ? 'pause' : 'play'} />
      </button>
      <span class="faint number">{clock(start)}</span>
      <input
        type="range"
        class="grow"
        min={start}
        max={end}
        step={step}
        value={value}
        aria-label={t.graph.replaySlider}
        aria-valuetext={clock(value)}
        onInput={(event) => setQuery({ at: event.currentTarget.value })}
      />
      <span class="faint number">{clock(end)}</span>
      <strong class="number" aria-live="polite">
        {t.graph.showing(clock(value))}
      </strong>
      <Select
        label={t.graph.window}
        value={String(window)}
        choices={windows.map((each) => ({ value: String(each), label: t.common.last(span(each)) }))}
        onChange={(each) => setQuery({ window: each, at: String(end) })}
      />
      <button
        type="button"
        class="button"
        onClick={() => setQuery({ at: undefined, until: undefined, window: undefined }, 'push')}
      >
        {t.graph.backToLive}
      </button>
    </div>
  );
}
