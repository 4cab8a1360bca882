import type { JSX } from 'preact';
import type { ProxyList, ProxyState } from '../../src/api.ts';
import { SearchBox, Select } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { chosenNamespaces } from '../parts/namespaces.tsx';
import { Empty, Loaded } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { type Column, DataTable } from '../parts/table.tsx';
import { useResource } from '../state/resource.ts';
import { href, queryValue, setQuery } from '../state/router.ts';
import { t } from '../texts.ts';

export type Sync = ProxyState['sync'][string];

const tone: Readonly<Record<Sync, string>> = {
  SYNCED: 'healthy',
  STALE: 'degraded',
  'NOT SENT': 'idle',
  ERROR: 'failing',
};
const icon = { SYNCED: 'check', STALE: 'warning', 'NOT SENT': 'minus', ERROR: 'error' } as const;
const order: readonly Sync[] = ['ERROR', 'STALE', 'NOT SENT', 'SYNCED'];

export function SyncMark({ sync }: { readonly sync: Sync | undefined }): JSX.Element {
  if (sync === undefined) return <span class="faint">–</span>;
  return (
    <span class={`health ${tone[sync]}`} title={t.proxies.syncHelp[sync]}>
      <Icon name={icon[sync]} size={13} />
      {t.proxies.sync[sync]}
    </span>
  );
}

const types = ['CDS', 'LDS', 'EDS', 'RDS', 'ECDS'] as const;

export const isInSync = ({ sync }: ProxyState): boolean =>
  Object.values(sync).every((state) => state === 'SYNCED' || state === 'NOT SENT');

export function ProxiesPage(): JSX.Element {
  const resource = useResource<ProxyList>('proxies', { keep: true });
  const filter = queryValue('q');
  const type = queryValue('type');
  const state = queryValue('state');
  const chosen = new Set(chosenNamespaces());
  const shown = (resource.data?.items ?? []).filter(
    (proxy) =>
      proxy.pod.includes(filter) &&
      (type === '' || proxy.type === type) &&
      (state === '' || !isInSync(proxy)) &&
      (chosen.size === 0 || chosen.has(proxy.namespace)),
  );
  const columns: readonly Column<ProxyState>[] = [
    {
      id: 'pod',
      title: t.common.name,
      head: true,
      sort: ({ pod }) => pod,
      cell: ({ namespace, pod }) => <a href={href(`/proxies/${namespace}/${pod}`)}>{pod}</a>,
    },
    {
      id: 'namespace',
      title: t.common.namespace,
      sort: ({ namespace }) => namespace,
      cell: ({ namespace }) => <span class="soft">{namespace}</span>,
    },
    { id: 'type', title: t.proxies.type, sort: (proxy) => proxy.type, cell: (proxy) => t.proxies.types[proxy.type] },
    ...types.map(
      (name): Column<ProxyState> => ({
        id: name,
        title: name,
        sort: ({ sync }) => order.indexOf(sync[name] ?? 'SYNCED'),
        cell: ({ sync }) => <SyncMark sync={sync[name]} />,
      }),
    ),
    { id: 'version', title: t.common.version_, sort: ({ version }) => version, cell: ({ version }) => version },
    {
      id: 'istiod',
      title: t.proxies.istiod,
      sort: ({ istiod }) => istiod,
      cell: ({ istiod }) => <span class="soft">{istiod}</span>,
    },
  ];
  const bad = (resource.data?.items ?? []).filter((proxy) => !isInSync(proxy)).length;
  return (
    <Page title={t.proxies.title} lead={t.proxies.lead}>
      <div class="toolbar">
        <SearchBox
          label={t.common.filterBy(t.proxies.title.toLowerCase())}
          value={filter}
          onChange={(q) => setQuery({ q })}
        />
        <Select
          label={t.proxies.type}
          value={type}
          choices={[
            { value: '', label: t.common.all },
            ...Object.entries(t.proxies.types).map(([value, label]) => ({ value, label })),
          ]}
          onChange={(value) => setQuery({ type: value })}
        />
        <Select
          label={t.proxies.lead}
          value={state}
          choices={[
            { value: '', label: t.proxies.anySync },
            { value: 'bad', label: `${t.proxies.notSynced} (${bad})` },
          ]}
          onChange={(value) => setQuery({ state: value })}
        />
        {resource.data && (
          <span class="faint" aria-live="polite">
            {t.common.shown(shown.length, resource.data.items.length, 'proxy').replace(/proxys$/, 'proxies')}
          </span>
        )}
      </div>
      <Loaded resource={resource} rows={10}>
        {() => (
          <DataTable<ProxyState>
            label={t.proxies.title}
            columns={columns}
            rows={shown}
            rowKey={({ namespace, pod }) => `${namespace}/${pod}`}
            empty={
              <Empty icon="proxies" title={t.proxies.empty}>
                {t.proxies.emptyHelp}
              </Empty>
            }
          />
        )}
      </Loaded>
    </Page>
  );
}
