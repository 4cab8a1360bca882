import type { JSX } from 'preact';
import type { HealthState, ItemList, ListItem } from '../../src/api.ts';
import { SearchBox, Select } from '../parts/controls.tsx';
import { HealthMark, healthOrder } from '../parts/health.tsx';
import { Icon } from '../parts/icons.tsx';
import { chosenNamespaces } from '../parts/namespaces.tsx';
import { Empty, Loaded } from '../parts/notice.tsx';
import { ObjectLinks } from '../parts/object-link.tsx';
import { Page } from '../parts/page.tsx';
import { type Column, DataTable } from '../parts/table.tsx';
import { errorsColumn, latencyColumn } from '../parts/traffic-columns.tsx';
import { chosenDuration } from '../parts/time.tsx';
import { bytesPerSecond, rate } from '../state/format.ts';
import { useResource } from '../state/resource.ts';
import { href, queryValue, setQuery } from '../state/router.ts';
import { t } from '../texts.ts';

export type ListKind = 'apps' | 'workloads' | 'services';

/** The address of the pages of a kind. */
export const listPath = (kind: ListKind): string => (kind === 'apps' ? '/applications' : `/${kind}`);

const states: readonly HealthState[] = ['failing', 'degraded', 'healthy', 'idle', 'unknown'];

/** A word is a part of the name; `label=value` chooses by a label. */
function fits(item: ListItem, filter: string): boolean {
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => {
      const [label, value] = word.split('=');
      return value === undefined || label === undefined
        ? item.name.toLowerCase().includes(word)
        : item.labels[label]?.toLowerCase() === value;
    });
}

export function ProxyCount({ item }: { readonly item: ListItem }): JSX.Element {
  if (!item.proxies) return <span class="faint">–</span>;
  const { ready, total } = item.proxies;
  if (total === 0) return <span class="faint">0</span>;
  return (
    <span class={ready < total ? 'row warn' : 'row'} title={t.lists.proxyState(ready, total)}>
      <Icon name={ready < total ? 'bare' : 'proxies'} size={13} />
      {ready} / {total}
    </span>
  );
}

const tcp = ({ traffic }: ListItem) => traffic.tcpSentBytesPerSecond + traffic.tcpReceivedBytesPerSecond;

export function ListPage({ kind }: { readonly kind: ListKind }): JSX.Element {
  const resource = useResource<ItemList>(
    `${kind}?${new URLSearchParams({ namespaces: chosenNamespaces().join(','), duration: String(chosenDuration()) })}`,
    { keep: true },
  );
  const filter = queryValue('q');
  const health = queryValue('health');
  const columns: readonly Column<ListItem>[] = [
    {
      id: 'name',
      title: t.common.name,
      head: true,
      sort: ({ name }) => name,
      cell: ({ namespace, name }) => <a href={href(`${listPath(kind)}/${namespace}/${name}`)}>{name}</a>,
    },
    {
      id: 'namespace',
      title: t.common.namespace,
      sort: ({ namespace }) => namespace,
      cell: ({ namespace }) => <span class="soft">{namespace}</span>,
    },
    {
      id: 'health',
      title: t.common.health,
      sort: (item) => healthOrder[item.health.state],
      cell: (item) => <HealthMark health={item.health} />,
    },
    ...(kind === 'workloads'
      ? [{ id: 'kind', title: t.common.kind, sort: (item: ListItem) => item.kind, cell: (item: ListItem) => item.kind }]
      : []),
    {
      id: 'versions',
      title: t.common.versions,
      cell: ({ versions }) => (
        <span class="row wrapping">
          {versions.map((version) => (
            <span key={version} class="pill">
              {version}
            </span>
          ))}
        </span>
      ),
    },
    {
      id: 'proxies',
      title: t.lists.proxies,
      sort: (item) => (item.proxies ? item.proxies.ready - item.proxies.total : 1),
      cell: (item) => <ProxyCount item={item} />,
    },
    {
      id: 'rps',
      title: t.common.requests,
      number: true,
      sort: ({ traffic }) => traffic.requestsPerSecond,
      cell: (item) =>
        item.traffic.requestsPerSecond === 0 && tcp(item) > 0
          ? bytesPerSecond(tcp(item))
          : `${rate(item.traffic.requestsPerSecond)}/s`,
    },
    errorsColumn(),
    latencyColumn(),
    {
      id: 'config',
      title: t.lists.configuration,
      sort: ({ config }) => -config.length,
      cell: ({ config }) => <ObjectLinks objects={config} />,
    },
  ];
  return (
    <Page title={t.lists.titles[kind]} lead={t.lists.leads[kind]}>
      <div class="toolbar">
        <SearchBox
          label={t.common.filter}
          placeholder={t.lists.filterHint}
          value={filter}
          width={240}
          onChange={(q) => setQuery({ q })}
        />
        <Select
          label={t.common.health}
          value={health}
          choices={[
            { value: '', label: t.lists.anyHealth },
            ...states.map((state) => ({ value: state, label: t.common.states[state] })),
          ]}
          onChange={(value) => setQuery({ health: value })}
        />
        {resource.data && (
          <span class="faint" aria-live="polite">
            {t.common.shown(
              resource.data.items.filter(
                (item) => fits(item, filter) && (health === '' || item.health.state === health),
              ).length,
              resource.data.items.length,
              t.lists.one[kind],
            )}
          </span>
        )}
      </div>
      <Loaded resource={resource} rows={10}>
        {({ items }) => (
          <DataTable<ListItem>
            label={t.lists.titles[kind]}
            columns={columns}
            rows={items.filter((item) => fits(item, filter) && (health === '' || item.health.state === health))}
            rowKey={(item) => `${item.namespace}/${item.name}`}
            firstSort="name"
            empty={
              <Empty
                icon={kind === 'apps' ? 'app' : kind === 'workloads' ? 'workload' : 'service'}
                title={t.lists.empty(t.lists.titles[kind].toLowerCase())}
              >
                {t.lists.emptyHelp}
              </Empty>
            }
          />
        )}
      </Loaded>
    </Page>
  );
}
