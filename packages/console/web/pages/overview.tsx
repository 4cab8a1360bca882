import type { JSX } from 'preact';
import type { NamespaceList, NamespaceSummary } from '../../src/api.ts';
import { Check, SearchBox, Segments } from '../parts/controls.tsx';
import { errorClass, HealthMark, healthOrder, TrafficLine } from '../parts/health.tsx';
import { Icon } from '../parts/icons.tsx';
import { chosenNamespaces } from '../parts/namespaces.tsx';
import { Empty, Loaded } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { DataTable } from '../parts/table.tsx';
import { errorsColumn, latencyColumn, requestsColumn } from '../parts/traffic-columns.tsx';
import { chosenDuration } from '../parts/time.tsx';
import { percent, rate } from '../state/format.ts';
import { useResource } from '../state/resource.ts';
import { href, queryValue, setQuery } from '../state/router.ts';
import { t } from '../texts.ts';

const isActive = ({ traffic }: NamespaceSummary) =>
  traffic.requestsPerSecond + traffic.tcpReceivedBytesPerSecond + traffic.tcpSentBytesPerSecond > 0;

export function OverviewPage(): JSX.Element {
  const resource = useResource<NamespaceList>(`namespaces?duration=${chosenDuration()}`, { keep: true });
  const filter = queryValue('q');
  const meshOnly = queryValue('mesh') === 'on';
  const chosen = new Set(chosenNamespaces());
  const table = queryValue('view') === 'table';
  return (
    <Page title={t.overview.title} lead={t.overview.lead}>
      <div class="toolbar">
        <SearchBox
          label={t.common.filterBy(t.common.namespaces.toLowerCase())}
          value={filter}
          onChange={(q) => setQuery({ q })}
        />
        <Check
          label={t.overview.meshOnly}
          checked={meshOnly}
          onChange={(on) => setQuery({ mesh: on ? 'on' : undefined })}
        />
        <span class="end">
          <Segments
            label={t.graph.view}
            value={table ? 'table' : 'cards'}
            choices={[
              { value: 'cards', label: t.overview.asCards, icon: 'overview' },
              { value: 'table', label: t.overview.asTable, icon: 'table' },
            ]}
            onChange={(view) => setQuery({ view: view === 'table' ? view : undefined })}
          />
        </span>
      </div>
      <Loaded resource={resource}>
        {({ items }) => {
          const shown = items
            .filter(
              ({ name, injection }) =>
                name.includes(filter) &&
                (!meshOnly || injection !== undefined) &&
                (chosen.size === 0 || chosen.has(name)),
            )
            .sort(
              (a, b) =>
                Number(b.injection !== undefined) - Number(a.injection !== undefined) ||
                healthOrder[a.health.state] - healthOrder[b.health.state] ||
                b.traffic.requestsPerSecond - a.traffic.requestsPerSecond ||
                a.name.localeCompare(b.name),
            );
          if (shown.length === 0)
            return (
              <Empty icon="overview" title={t.overview.empty}>
                {t.overview.emptyHelp}
              </Empty>
            );
          return (
            <>
              <Totals items={shown} />
              {table ? (
                <NamespaceTable items={shown} />
              ) : (
                <ul class="cards">
                  {shown.map((item) => (
                    <NamespaceCard key={item.name} item={item} />
                  ))}
                </ul>
              )}
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}

function Totals({ items }: { readonly items: readonly NamespaceSummary[] }): JSX.Element {
  const mesh = items.filter(({ injection }) => injection !== undefined);
  const requests = items.reduce((sum, { traffic }) => sum + traffic.requestsPerSecond, 0);
  const failed = items.reduce((sum, { traffic }) => sum + traffic.requestsPerSecond * traffic.errorRate, 0);
  const share = requests === 0 ? 0 : failed / requests;
  const sick = items.filter(({ health }) => health.state === 'failing' || health.state === 'degraded').length;
  const problems = items.reduce((sum, { errors, warnings }) => sum + errors + warnings, 0);
  const withProxy = mesh.reduce((sum, { podsWithProxy }) => sum + podsWithProxy, 0);
  const pods = mesh.reduce((sum, item) => sum + item.pods, 0);
  const words = t.overview.totals;
  const tiles: readonly (readonly [string, string, string])[] = [
    [words.namespaces, `${mesh.length} / ${items.length}`, ''],
    [words.health, String(sick), sick > 0 ? 'bad' : 'good'],
    [words.requests, `${rate(requests)} ${t.common.perSecond}`, ''],
    [words.errors, percent(share), errorClass(share)],
    [words.proxies, `${withProxy} / ${pods}`, withProxy < pods ? 'warn' : ''],
    [words.config, String(problems), problems > 0 ? 'warn' : 'good'],
  ];
  return (
    <dl class="tiles">
      {tiles.map(([label, value, tone]) => (
        <div key={label} class="tile">
          <dt>{label}</dt>
          <dd class={tone}>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function MtlsPill({ item }: { readonly item: NamespaceSummary }): JSX.Element {
  const locked = item.mutualTls === 'STRICT';
  return (
    <span
      class={`pill ${locked ? 'good' : item.mutualTls === 'DISABLE' ? 'warn' : ''}`}
      title={t.overview.mtlsHelp[item.mutualTls]}
    >
      <Icon name={locked ? 'lock' : 'unlocked'} size={12} />
      {t.overview.mtls[item.mutualTls]}
    </span>
  );
}

function NamespaceCard({ item }: { readonly item: NamespaceSummary }): JSX.Element {
  const to = (path: string) => href(path, { ns: item.name, q: undefined });
  const problems = item.errors + item.warnings > 0;
  return (
    <li class={`card namespace ${item.injection === undefined ? 'outside' : ''}`}>
      <header class="row spread">
        <h2 class="clip">{item.name}</h2>
        <HealthMark health={item.health} />
      </header>
      <div class="row wrapping">
        <span class={item.injection === undefined ? 'pill' : 'pill accent'}>
          {item.injection === undefined ? t.overview.notInMesh : t.overview.revision(item.injection)}
        </span>
        <MtlsPill item={item} />
      </div>
      {item.health.reasons[0] !== undefined && item.health.state !== 'healthy' && (
        <p class={`reason ${item.health.state}`}>{item.health.reasons[0]}</p>
      )}
      {isActive(item) ? <TrafficLine traffic={item.traffic} /> : <p class="faint quiet-line">{t.overview.noTraffic}</p>}
      <ul class="links">
        <li>
          <a href={to('/services')}>{t.overview.services(item.services)}</a>
        </li>
        <li>
          <a href={to('/workloads')}>{t.overview.workloads(item.workloads)}</a>
        </li>
        <li>
          <a href={to('/configuration')}>
            {t.overview.config(item.configObjects)}
            {problems && (
              <span class={item.errors > 0 ? 'bad' : 'warn'} title={t.overview.problems(item.errors, item.warnings)}>
                {' '}
                <Icon name="warning" size={12} label={t.overview.problems(item.errors, item.warnings)} />
              </span>
            )}
          </a>
        </li>
        <li class="end">
          <a href={to('/graph')}>
            <Icon name="graph" size={13} /> {t.overview.graphLink}
          </a>
        </li>
      </ul>
    </li>
  );
}

function NamespaceTable({ items }: { readonly items: readonly NamespaceSummary[] }): JSX.Element {
  return (
    <DataTable<NamespaceSummary>
      label={t.common.namespaces}
      rows={items}
      rowKey={({ name }) => name}
      columns={[
        {
          id: 'name',
          title: t.common.namespace,
          head: true,
          sort: ({ name }) => name,
          cell: ({ name }) => <a href={href('/graph', { ns: name })}>{name}</a>,
        },
        {
          id: 'health',
          title: t.common.health,
          sort: ({ health }) => healthOrder[health.state],
          cell: ({ health }) => <HealthMark health={health} />,
        },
        {
          id: 'mesh',
          title: t.overview.inMesh,
          sort: ({ injection }) => injection ?? '',
          cell: ({ injection }) =>
            injection === undefined ? <span class="faint">{t.common.no}</span> : t.overview.revision(injection),
        },
        {
          id: 'mtls',
          title: t.graph.encrypted,
          sort: ({ mutualTls }) => mutualTls,
          cell: (item) => <MtlsPill item={item} />,
        },
        {
          id: 'pods',
          title: t.lists.proxies,
          number: true,
          sort: ({ podsWithProxy }) => podsWithProxy,
          cell: ({ podsWithProxy, pods }) => `${podsWithProxy} / ${pods}`,
        },
        requestsColumn(),
        errorsColumn(),
        latencyColumn(),
        {
          id: 'config',
          title: t.overview.validation,
          cell: ({ errors, warnings }) => (
            <span class={errors > 0 ? 'bad' : warnings > 0 ? 'warn' : 'faint'}>
              {t.overview.problems(errors, warnings)}
            </span>
          ),
        },
      ]}
    />
  );
}
