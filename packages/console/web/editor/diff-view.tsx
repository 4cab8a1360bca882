import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { t } from '../texts.ts';
import { diffLines, hunks } from './diff.ts';

/** What changes between two texts, removed lines above added ones; marked by sign as well as by colour. */
export function DiffView({
  before,
  after,
  label,
}: {
  readonly before: string;
  readonly after: string;
  readonly label: string;
}): JSX.Element {
  const lines = useMemo(() => hunks(diffLines(before, after)), [before, after]);
  const changed = lines.some((line) => line !== undefined && line.kind !== 'same');
  if (!changed) return <p class="soft">{t.config.noChange}</p>;
  return (
    <div class="diff" role="region" aria-label={label} tabIndex={0}>
      {lines.map((line, index) =>
        line === undefined ? (
          <div key={`gap ${index}`} class="gap">
            ⋯
          </div>
        ) : (
          <div key={`${line.before ?? ''} ${line.after ?? ''}`} class={line.kind}>
            <span class="line-number" aria-hidden="true">
              {line.after ?? line.before}
            </span>
            <span class="sign">{line.kind === 'added' ? '+' : line.kind === 'removed' ? '−' : ' '}</span>
            <code>{line.text}</code>
          </div>
        ),
      )}
    </div>
  );
}
