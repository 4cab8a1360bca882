import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import type { Trace } from '../../src/api.ts';
import { Icon } from '../parts/icons.tsx';
import { milliseconds } from '../state/format.ts';
import { t } from '../texts.ts';
import { shortNames } from './colour.ts';
import type { SpanRow } from './tree.ts';
import { unfolded } from './tree.ts';

/** Spans as bars under an axis of time; folded like a tree. */
export function Waterfall(props: {
  readonly trace: Trace;
  readonly rows: readonly SpanRow[];
  readonly colours: ReadonlyMap<string, number>;
  readonly selected: string | undefined;
  readonly filter: string;
  readonly critical: boolean;
  readonly onSelect: (id: string | undefined) => void;
}): JSX.Element {
  const { trace, selected } = props;
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const list = useRef<HTMLDivElement>(null);
  const rows = unfolded(props.rows, folded);
  const start = Math.min(trace.start, ...trace.all.map((span) => span.start));
  const total = Math.max(...trace.all.map((span) => span.start + span.duration), start + trace.duration) - start || 1;
  const percent = (value: number) => `${Math.max(0, (value / total) * 100).toFixed(3)}%`;
  const filter = props.filter.toLowerCase();
  const fits = ({ span }: SpanRow) =>
    filter === '' ||
    `${span.service} ${span.operation} ${Object.entries(span.tags)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')}`
      .toLowerCase()
      .includes(filter);
  const fold = (id: string) => {
    const next = new Set(folded);
    if (!next.delete(id)) next.add(id);
    setFolded(next);
  };
  const stop = rows.some(({ span }) => span.id === selected) ? selected : rows[0]?.span.id;
  const short = shortNames(trace.all.map((span) => span.service));
  const keys = (event: KeyboardEvent) => {
    const at = rows.findIndex(({ span }) => span.id === stop);
    const row = rows[at];
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const next = rows[at + (event.key === 'ArrowDown' ? 1 : -1)];
      if (!next) return;
      props.onSelect(next.span.id);
      list.current?.querySelector<HTMLElement>(`[data-span="${CSS.escape(next.span.id)}"]`)?.focus();
    } else if (row && event.key === 'ArrowLeft' && !folded.has(row.span.id) && row.children.length > 0)
      fold(row.span.id);
    else if (row && event.key === 'ArrowRight' && folded.has(row.span.id)) fold(row.span.id);
    else if (event.key === 'Enter' || event.key === ' ') props.onSelect(stop);
    else return;
    event.preventDefault();
  };
  return (
    <div class="waterfall">
      <div class="axis" aria-hidden="true">
        <span />
        <span class="ticks">
          {[0, 0.25, 0.5, 0.75, 1].map((part) => (
            <span key={part} style={{ left: `${part * 100}%` }}>
              {part === 0 ? '0' : milliseconds(total * part)}
            </span>
          ))}
        </span>
      </div>
      <div ref={list} role="tree" aria-label={t.traces.waterfall} onKeyDown={keys}>
        {rows.map((row) => {
          const { span, depth, children } = row;
          const colour = props.colours.get(span.service) ?? 1;
          return (
            <div
              key={span.id}
              role="treeitem"
              data-span={span.id}
              aria-level={depth + 1}
              aria-selected={span.id === selected}
              aria-expanded={children.length > 0 ? !folded.has(span.id) : undefined}
              aria-label={t.traces.span(span.service, span.operation, milliseconds(span.duration))}
              tabIndex={span.id === stop ? 0 : -1}
              class={`span-row ${span.error ? 'error' : ''} ${fits(row) ? '' : 'dim'} ${props.critical && !row.critical ? 'dim' : ''}`}
              onClick={() => props.onSelect(span.id)}
            >
              <span class="who" style={{ paddingLeft: `${8 + depth * 14}px` }}>
                {children.length > 0 ? (
                  <button
                    type="button"
                    tabIndex={-1}
                    class="fold"
                    aria-label={folded.has(span.id) ? t.traces.expand : t.traces.collapse}
                    onClick={(event) => {
                      event.stopPropagation();
                      fold(span.id);
                    }}
                  >
                    <Icon name={folded.has(span.id) ? 'right' : 'down'} size={11} />
                  </button>
                ) : (
                  <i class="fold" />
                )}
                <i class={`swatch s${colour}`} />
                {span.error && <Icon name="error" size={12} label={t.traces.failed} />}
                <strong>{short(span.service)}</strong>
                <span class="soft clip">{span.operation}</span>
              </span>
              <span class="track">
                <span
                  class={`span-bar s${colour}`}
                  style={{ left: percent(span.start - start), width: `max(3px, ${percent(span.duration)})` }}
                />
                <span
                  class="time"
                  style={
                    span.start - start > total * 0.6
                      ? { right: `calc(${percent(total - (span.start - start))} + 6px)` }
                      : { left: `calc(${percent(span.start - start + span.duration)} + 6px)` }
                  }
                >
                  {milliseconds(span.duration)}
                </span>
              </span>
            </div>
          );
        })}
      </div>
    </div>
  );
}
