import type { JSX } from 'preact';
import { Icon } from '../parts/icons.tsx';
import { t } from '../texts.ts';
import { badgeIcon } from './node-card.tsx';

/** What lines, colours and signs of the drawing mean. */
export function Legend(): JSX.Element {
  const words = t.graph.legendEntries;
  return (
    <details class="legend-box" open>
      <summary>{t.graph.legend}</summary>
      <ul>
        {(['ok', 'warn', 'bad', 'tcp', 'idle'] as const).map((state) => (
          <li key={state}>
            <svg width="30" height="10" aria-hidden="true" class={`edge ${state}`}>
              <path class="line" d="M0 5H28" stroke-width={state === 'idle' ? 1.3 : 2.5} />
            </svg>
            {words[state]}
          </li>
        ))}
        <li>
          <svg width="30" height="10" aria-hidden="true" class="edge ok">
            <path class="line" d="M0 5H28" stroke-width="5" />
          </svg>
          {words.width}
        </li>
        <li>
          <span class="legend-icon">
            <Icon name="lock" size={13} />
          </span>
          {words.lock}
        </li>
        {(Object.keys(t.graph.badges) as (keyof typeof badgeIcon)[]).map((badge) => (
          <li key={badge}>
            <span class="legend-icon">
              <Icon name={badgeIcon[badge]} size={13} />
            </span>
            {t.graph.badges[badge]}
          </li>
        ))}
      </ul>
    </details>
  );
}
