import type { JSX } from 'preact';
import type { ConfigItem, ConfigList } from '../../src/api.ts';
import { Check, Popover, SearchBox, Select } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { chosenNamespaces } from '../parts/namespaces.tsx';
import { Empty, Loaded, Notice } from '../parts/notice.tsx';
import { KindMark, objectHref } from '../parts/object-link.tsx';
import { Page } from '../parts/page.tsx';
import { DataTable } from '../parts/table.tsx';
import { age, dateTime } from '../state/format.ts';
import { useResource } from '../state/resource.ts';
import { href, queryList, queryValue, setQuery } from '../state/router.ts';
import { mayWrite } from '../state/session.ts';
import { t } from '../texts.ts';

const levels = ['Error', 'Warning', 'Info'] as const;

const numberOf = ({ messages }: ConfigItem, level: (typeof levels)[number]) =>
  messages.filter((each) => each.level === level).length;

/** What the analysis says about an object: the worst level and how many there are. */
export function MessagesMark({ item }: { readonly item: ConfigItem }): JSX.Element {
  const [errors, warnings, infos] = levels.map((level) => numberOf(item, level));
  const state = errors ? 'failing' : warnings ? 'degraded' : infos ? 'info' : 'healthy';
  return (
    <span class={`health ${state}`} title={item.messages.map(({ code, message }) => `${code}: ${message}`).join('\n')}>
      <Icon name={errors ? 'error' : warnings ? 'warning' : infos ? 'info' : 'check'} size={13} />
      {item.messages.length === 0 ? t.config.clean : t.config.problems(errors ?? 0, warnings ?? 0, infos ?? 0)}
    </span>
  );
}

const weight = (item: ConfigItem) =>
  numberOf(item, 'Error') * 10_000 + numberOf(item, 'Warning') * 100 + numberOf(item, 'Info');

export function ConfigListPage(): JSX.Element {
  const kinds = queryList('kinds');
  const resource = useResource<ConfigList>(
    `config?${new URLSearchParams({ namespaces: chosenNamespaces().join(','), kinds: kinds.join(',') })}`,
    { keep: true },
  );
  const filter = queryValue('q').toLowerCase();
  const state = queryValue('state');
  const shown = (resource.data?.items ?? []).filter(
    (item) =>
      item.name.toLowerCase().includes(filter) &&
      (state === '' || numberOf(item, 'Error') > 0 || (state === 'warnings' && numberOf(item, 'Warning') > 0)),
  );
  return (
    <Page
      title={t.config.title}
      lead={t.config.lead}
      actions={
        mayWrite() && (
          <a class="button primary" href={href('/configuration/new')}>
            <Icon name="plus" size={14} />
            {t.config.create}
          </a>
        )
      }
    >
      <div class="toolbar">
        <SearchBox
          label={t.common.filterBy(t.config.title.toLowerCase())}
          placeholder={t.common.name}
          value={queryValue('q')}
          onChange={(q) => setQuery({ q })}
        />
        <Popover
          name={t.common.kind}
          label={kinds.length === 0 ? t.config.anyKind : <span class="clip">{kinds.join(', ')}</span>}
        >
          {() => (
            <div class="picker">
              <Check
                label={t.config.anyKind}
                checked={kinds.length === 0}
                onChange={() => setQuery({ kinds: undefined })}
              />
              <hr />
              {(resource.data?.kinds ?? []).map((kind) => (
                <Check
                  key={kind}
                  label={kind}
                  checked={kinds.includes(kind)}
                  onChange={(checked) =>
                    setQuery({ kinds: (checked ? [...kinds, kind] : kinds.filter((each) => each !== kind)).join(',') })
                  }
                />
              ))}
            </div>
          )}
        </Popover>
        <Select
          label={t.config.messages}
          value={state}
          choices={[
            { value: '', label: t.config.anyState },
            { value: 'errors', label: t.config.withErrors },
            { value: 'warnings', label: t.config.withWarnings },
          ]}
          onChange={(value) => setQuery({ state: value })}
        />
        {resource.data && (
          <span class="faint" aria-live="polite">
            {t.common.shown(shown.length, resource.data.items.length, 'object')}
          </span>
        )}
      </div>
      <Loaded resource={resource} rows={10}>
        {({ unreadable = [] }) => (
          <>
            {unreadable.length > 0 && (
              <Notice level="warning" title={t.config.unreadable}>
                {t.config.unreadableKinds(unreadable.join(', '))}
              </Notice>
            )}
            <DataTable<ConfigItem>
              label={t.config.title}
              rows={shown}
              rowKey={({ kind, namespace, name }) => `${kind}/${namespace}/${name}`}
              empty={
                <Empty icon="config" title={t.config.empty}>
                  {t.config.emptyHelp}
                </Empty>
              }
              columns={[
                {
                  id: 'name',
                  title: t.common.name,
                  head: true,
                  sort: ({ name }) => name,
                  cell: (item) => (
                    <a class="object" href={objectHref(item)}>
                      <KindMark kind={item.kind} />
                      {item.name}
                    </a>
                  ),
                },
                { id: 'kind', title: t.common.kind, sort: ({ kind }) => kind, cell: ({ kind }) => kind },
                {
                  id: 'namespace',
                  title: t.common.namespace,
                  sort: ({ namespace }) => namespace,
                  cell: ({ namespace }) => <span class="soft">{namespace || '–'}</span>,
                },
                {
                  id: 'messages',
                  title: t.config.messages,
                  sort: weight,
                  number: false,
                  cell: (item) => <MessagesMark item={item} />,
                },
                {
                  id: 'version',
                  title: t.config.apiVersion,
                  sort: ({ apiVersion }) => apiVersion,
                  cell: ({ apiVersion }) => <code class="soft">{apiVersion}</code>,
                },
                {
                  id: 'age',
                  title: t.common.age,
                  number: true,
                  sort: ({ createdAt }) => -createdAt,
                  cell: ({ createdAt }) => <span title={dateTime(createdAt)}>{age(createdAt)}</span>,
                },
              ]}
            />
          </>
        )}
      </Loaded>
    </Page>
  );
}
