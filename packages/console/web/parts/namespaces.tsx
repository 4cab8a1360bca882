import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { NamespaceList } from '../../src/api.ts';
import { useResource } from '../state/resource.ts';
import { queryList, setQuery } from '../state/router.ts';
import { count } from '../texts/common.ts';
import { t } from '../texts.ts';
import { Check, Popover } from './controls.tsx';

/** The namespaces that the pages are about; they stay when another page is opened. */
export const chosenNamespaces = (): readonly string[] => queryList('ns');

/** Chooses the namespaces of the pages. */
export function NamespacePicker(): JSX.Element {
  const all = useResource<NamespaceList>('namespaces?duration=600', { poll: false });
  const [filter, setFilter] = useState('');
  const chosen = new Set(chosenNamespaces());
  const choose = (names: ReadonlySet<string>) => setQuery({ ns: [...names].join(',') }, 'push');
  const label =
    chosen.size === 0
      ? t.common.allNamespaces
      : chosen.size <= 2
        ? [...chosen].join(', ')
        : count(chosen.size, 'namespace');
  const items = (all.data?.items ?? []).filter(({ name }) => name.includes(filter));
  return (
    <Popover name={t.common.namespaces} label={<span class="clip">{label}</span>}>
      {() => (
        <div class="picker">
          <input
            class="input"
            type="search"
            aria-label={t.common.filterBy(t.common.namespaces.toLowerCase())}
            placeholder={t.common.filter}
            value={filter}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
          <Check label={t.common.allNamespaces} checked={chosen.size === 0} onChange={() => choose(new Set())} />
          <hr />
          {items.map(({ name, injection }) => (
            <Check
              key={name}
              label={
                <span class="row spread grow">
                  {name}
                  {injection !== undefined && (
                    <small class="faint">{injection === 'enabled' ? 'mesh' : injection}</small>
                  )}
                </span>
              }
              checked={chosen.has(name)}
              onChange={(checked) => {
                const next = new Set(chosen);
                if (checked) next.add(name);
                else next.delete(name);
                choose(next);
              }}
            />
          ))}
          {all.error && <p class="bad">{all.error.message}</p>}
        </div>
      )}
    </Popover>
  );
}
