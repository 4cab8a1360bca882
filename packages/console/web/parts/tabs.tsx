import type { ComponentChildren, JSX } from 'preact';
import { useId, useRef } from 'preact/hooks';
import { queryValue, setQuery } from '../state/router.ts';

export interface Tab {
  readonly id: string;
  readonly title: string;
  readonly count?: number;
  /** Something there needs attention. */
  readonly mark?: 'bad' | 'warn' | undefined;
  readonly body: () => ComponentChildren;
}

/** Tabs whose choice is in the address; arrow keys move between them. */
export function Tabs({
  label,
  tabs,
  parameter = 'tab',
}: {
  readonly label: string;
  readonly tabs: readonly Tab[];
  readonly parameter?: string;
}): JSX.Element {
  const chosen = tabs.find(({ id }) => id === queryValue(parameter)) ?? tabs[0];
  const prefix = useId();
  const list = useRef<HTMLDivElement>(null);
  const open = (id: string) => setQuery({ [parameter]: id === tabs[0]?.id ? undefined : id });
  const move = (by: number) => {
    const at = tabs.findIndex(({ id }) => id === chosen?.id);
    const next = tabs[(at + by + tabs.length) % tabs.length];
    if (!next) return;
    open(next.id);
    list.current?.querySelector<HTMLButtonElement>(`[data-tab="${next.id}"]`)?.focus();
  };
  return (
    <div class="tabs">
      <div
        ref={list}
        role="tablist"
        aria-label={label}
        onKeyDown={(event) => {
          if (event.key === 'ArrowRight') move(1);
          else if (event.key === 'ArrowLeft') move(-1);
          else return;
          event.preventDefault();
        }}
      >
        {tabs.map((tab) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            data-tab={tab.id}
            id={`${prefix}-${tab.id}`}
            aria-selected={tab === chosen}
            aria-controls={`${prefix}-panel`}
            tabIndex={tab === chosen ? 0 : -1}
            onClick={() => open(tab.id)}
          >
            {tab.title}
            {tab.count !== undefined && <span class={`count ${tab.mark ?? ''}`}>{tab.count}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${prefix}-panel`} aria-labelledby={`${prefix}-${chosen?.id ?? ''}`} key={chosen?.id}>
        {chosen?.body()}
      </div>
    </div>
  );
}
