import type { JSX } from 'preact';
import { span } from '../state/format.ts';
import { queryValue, setQuery } from '../state/router.ts';
import { t } from '../texts.ts';
import { Select } from './controls.tsx';

const choices = [60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400] as const;

/** Seconds that the pages look back; it stays when another page is opened. */
export function chosenDuration(fallback = 600): number {
  const value = Number(queryValue('duration'));
  return Number.isFinite(value) && value > 0 ? value : fallback;
}

export function DurationPicker({ fallback = 600 }: { readonly fallback?: number }): JSX.Element {
  const chosen = chosenDuration(fallback);
  const values = choices.some((value) => value === chosen) ? choices : [...choices, chosen].sort((a, b) => a - b);
  return (
    <Select
      label={t.common.timeRange}
      value={String(chosen)}
      choices={values.map((value) => ({ value: String(value), label: t.common.last(span(value)) }))}
      onChange={(value) => setQuery({ duration: value }, 'push')}
    />
  );
}
