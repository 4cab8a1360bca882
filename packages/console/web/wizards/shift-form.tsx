import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { currentWeights, shiftTraffic } from '../../src/wizards/traffic-shifting.ts';
import { evenWeights, moved, type Weight } from '../../src/wizards/weights.ts';
import { Icon } from '../parts/icons.tsx';
import { Notice } from '../parts/notice.tsx';
import { t } from '../texts.ts';
import type { FormProps } from './dialog.tsx';

/** A slider per version; together they are always 100. */
export function Sliders({
  weights,
  onChange,
}: {
  readonly weights: readonly Weight[];
  readonly onChange: (weights: readonly Weight[]) => void;
}): JSX.Element {
  return (
    <div class="sliders">
      <svg class="shares" width="100%" height="10" aria-hidden="true">
        {weights.map(({ version, weight }, index) => {
          const before = weights.slice(0, index).reduce((sum, each) => sum + each.weight, 0);
          return <rect key={version} x={`${before}%`} width={`${weight}%`} height="10" class={`s${(index % 8) + 1}`} />;
        })}
      </svg>
      {weights.map(({ version, weight, locked = false }, index) => (
        <div key={version} class="slider">
          <span class="row">
            <i class={`swatch s${(index % 8) + 1}`} />
            <strong class="clip">{version}</strong>
          </span>
          <input
            type="range"
            min={0}
            max={100}
            step={1}
            value={weight}
            aria-label={t.wizards.weight(version)}
            aria-valuetext={`${weight}%`}
            disabled={locked || weights.length === 1}
            onInput={(event) => onChange(moved(weights, version, event.currentTarget.valueAsNumber))}
          />
          <span class="percent">
            <input
              class="input number"
              type="number"
              min={0}
              max={100}
              value={weight}
              aria-label={`${t.wizards.weight(version)} (%)`}
              disabled={locked || weights.length === 1}
              onChange={(event) => onChange(moved(weights, version, event.currentTarget.valueAsNumber || 0))}
            />
            %
          </span>
          {weights.length > 2 && (
            <button
              type="button"
              class="button quiet icon"
              aria-pressed={locked}
              aria-label={t.wizards.lock(version)}
              title={t.wizards.lock(version)}
              onClick={() =>
                onChange(weights.map((each) => (each.version === version ? { ...each, locked: !locked } : each)))
              }
            >
              <Icon name={locked ? 'lock' : 'unlocked'} size={14} />
            </button>
          )}
        </div>
      ))}
    </div>
  );
}

export function ShiftForm({ situation, report }: FormProps): JSX.Element {
  const { service } = situation;
  const objects = situation.present.map(({ object }) => object);
  const [weights, setWeights] = useState(() => currentWeights(service, objects));
  // Reported when the choice changes.
  useEffect(() => {
    report({ result: weights.length === 0 ? undefined : shiftTraffic(service, objects, weights) });
  }, [weights, situation]);
  if (weights.length === 0) return <Notice level="warning">{t.wizards.noVersions}</Notice>;
  return (
    <>
      {weights.length === 1 && <Notice level="info">{t.wizards.fewVersions}</Notice>}
      <Sliders weights={weights} onChange={setWeights} />
      <div class="row wrapping">
        <button
          type="button"
          class="button small"
          onClick={() => setWeights(evenWeights(weights.map(({ version }) => version)))}
        >
          {t.wizards.even}
        </button>
        {weights.map(({ version }) => (
          <button
            key={version}
            type="button"
            class="button small"
            onClick={() =>
              setWeights(weights.map((each) => ({ version: each.version, weight: each.version === version ? 100 : 0 })))
            }
          >
            {t.wizards.allTo(version)}
          </button>
        ))}
        <span class="faint number grow">
          {t.wizards.sum}: {weights.reduce((sum, { weight }) => sum + weight, 0)}%
        </span>
      </div>
    </>
  );
}
