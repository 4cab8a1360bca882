import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Detail, Graph, PodSummary } from '../../src/api.ts';
import { TimeChart } from '../charts/time-chart.tsx';
import { unitFormat } from '../charts/units.ts';
import { Drawing } from '../graph/drawing.tsx';
import { EdgeTable } from '../graph/table.tsx';
import { HealthMark, Reasons, TrafficLine } from '../parts/health.tsx';
import { Icon } from '../parts/icons.tsx';
import { Empty, Loaded, Notice } from '../parts/notice.tsx';
import { ObjectLink } from '../parts/object-link.tsx';
import { Card, Page } from '../parts/page.tsx';
import { DataTable } from '../parts/table.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { chosenDuration } from '../parts/time.tsx';
import { age, dateTime } from '../state/format.ts';
import { useResource } from '../state/resource.ts';
import { href } from '../state/router.ts';
import { t } from '../texts.ts';
import { TraceSearch } from '../traces/search.tsx';
import { WizardMenu } from '../wizards/menu.tsx';
import { type ListKind, listPath, ProxyCount } from './list.tsx';

export function DetailPage({
  kind,
  namespace,
  name,
}: {
  readonly kind: ListKind;
  readonly namespace: string;
  readonly name: string;
}): JSX.Element {
  const resource = useResource<Detail>(`${kind}/${namespace}/${name}?duration=${chosenDuration()}`, { keep: true });
  const detail = resource.data;
  const owner = kind === 'workloads' ? 'workload' : kind === 'apps' ? 'app' : 'service';
  return (
    <Page
      title={name}
      crumbs={[
        { label: t.lists.titles[kind], to: listPath(kind) },
        { label: namespace, to: `${listPath(kind)}?ns=${namespace}` },
      ]}
      actions={
        <>
          <a class="button" href={href('/graph', { ns: namespace, find: `name = ${name}` })}>
            <Icon name="graph" size={14} />
            {t.nav.graph}
          </a>
          {detail && detail.pods.length > 0 && (
            <a class="button" href={href('/logs', { [owner]: `${namespace}/${name}` })}>
              <Icon name="logs" size={14} />
              {t.lists.openLogs}
            </a>
          )}
          {kind === 'services' && (
            <a class="button" href={href('/explain', { url: `http://${name}.${namespace}/` })}>
              <Icon name="explain" size={14} />
              {t.lists.explain}
            </a>
          )}
          {kind === 'services' && detail && <WizardMenu detail={detail} onApplied={resource.reload} />}
        </>
      }
    >
      <Loaded resource={resource} rows={10}>
        {(data) => (
          <Tabs
            label={name}
            tabs={[
              { id: 'overview', title: t.lists.tabs.overview, body: () => <Overview detail={data} /> },
              { id: 'metrics', title: t.lists.tabs.metrics, body: () => <Charts detail={data} /> },
              {
                id: 'traffic',
                title: t.lists.tabs.traffic,
                count: data.neighbours.edges.length,
                body: () => <Neighbours graph={data.neighbours} />,
              },
              ...(kind === 'services' && data.pods.length === 0
                ? []
                : [
                    {
                      id: 'pods',
                      title: t.lists.tabs.pods,
                      count: data.pods.length,
                      body: () => <Pods pods={data.pods} />,
                    },
                  ]),
              {
                id: 'config',
                title: t.lists.tabs.config,
                count: data.config.length,
                body: () => <Configuration detail={data} />,
              },
              {
                id: 'traces',
                title: t.lists.tabs.traces,
                body: () => (
                  <TraceSearch
                    service={`${namespace}/${kind === 'workloads' ? (data.labels.app ?? data.services[0]?.name ?? name) : name}`}
                  />
                ),
              },
            ]}
          />
        )}
      </Loaded>
    </Page>
  );
}

function Overview({ detail }: { readonly detail: Detail }): JSX.Element {
  return (
    <div class="columns">
      <div class="stack">
        <Card title={t.common.health} end={<HealthMark health={detail.health} />}>
          <Reasons health={detail.health} />
          <TrafficLine traffic={detail.traffic} />
        </Card>
        <Card title={t.lists.facts}>
          <dl class="facts">
            {detail.kind !== '' && (
              <>
                <dt>{t.common.kind}</dt>
                <dd>{detail.kind}</dd>
              </>
            )}
            <dt>{t.common.created}</dt>
            <dd title={dateTime(detail.createdAt)}>{age(detail.createdAt)}</dd>
            {detail.facts
              .filter(({ label }) => label !== t.common.versions && !(detail.kind !== '' && label === t.common.kind))
              .map(({ label, value }) => (
                <>
                  <dt key={`${label} name`}>{label}</dt>
                  <dd key={`${label} value`} class="wrap">
                    {value}
                  </dd>
                </>
              ))}
            <dt>{t.lists.proxies}</dt>
            <dd>
              <ProxyCount item={detail} />
            </dd>
            {detail.versions.length > 0 && (
              <>
                <dt>{t.common.versions}</dt>
                <dd class="row wrapping">
                  {detail.versions.map((version) => (
                    <span key={version} class="pill">
                      {version}
                    </span>
                  ))}
                </dd>
              </>
            )}
            {Object.keys(detail.labels).length > 0 && (
              <>
                <dt>{t.common.labels}</dt>
                <dd class="row wrapping">
                  {Object.entries(detail.labels).map(([label, value]) => (
                    <code key={label} class="pill wrap">
                      {label}={value}
                    </code>
                  ))}
                </dd>
              </>
            )}
          </dl>
        </Card>
        {detail.services.length + detail.workloads.length > 0 && (
          <Card title={t.lists.related}>
            <ul class="stack tight">
              {[...detail.services, ...detail.workloads].map((object) => (
                <li key={`${object.kind} ${object.namespace} ${object.name}`}>
                  <ObjectLink object={object} plain />
                </li>
              ))}
            </ul>
          </Card>
        )}
        {detail.config.length > 0 && (
          <Card title={t.lists.configuration}>
            <ul class="stack tight">
              {detail.config.map((object) => (
                <li key={`${object.kind} ${object.namespace} ${object.name}`}>
                  <ObjectLink object={object} plain />
                </li>
              ))}
            </ul>
          </Card>
        )}
      </div>
      <div class="stack">
        <Card title={t.lists.neighbours} flush>
          <MiniGraph graph={detail.neighbours} />
        </Card>
        <Charts detail={detail} most={4} />
      </div>
    </div>
  );
}

function MiniGraph({ graph }: { readonly graph: Graph }): JSX.Element {
  const [selected, setSelected] = useState<string | undefined>(undefined);
  if (graph.nodes.length === 0)
    return (
      <Empty icon="graph" title={t.graph.empty}>
        {t.lists.noChartsHelp}
      </Empty>
    );
  // As high as the longer column needs, so that the cards can be read.
  const rows = Math.max(
    graph.nodes.filter(({ id }) => !graph.edges.some(({ target }) => target === id)).length,
    graph.nodes.filter(({ id }) => !graph.edges.some(({ source }) => source === id)).length,
  );
  return (
    <div class="mini-graph" style={{ height: `${Math.min(Math.max(300, 40 + rows * 52), 620)}px` }}>
      <Drawing graph={graph} found={undefined} selected={selected} onSelect={setSelected} />
    </div>
  );
}

function Charts({ detail, most }: { readonly detail: Detail; readonly most?: number }): JSX.Element {
  const charts = detail.charts.filter(({ series }) => series.length > 0);
  if (charts.length === 0)
    return (
      <Empty icon="dashboards" title={t.lists.noCharts}>
        {t.lists.noChartsHelp}
      </Empty>
    );
  return (
    <div class="chart-grid">
      {charts.slice(0, most).map((chart) => (
        <Card key={chart.title} title={chart.title}>
          <TimeChart label={chart.title} series={chart.series} format={unitFormat(chart.unit)} height={150} fill />
        </Card>
      ))}
    </div>
  );
}

function Neighbours({ graph }: { readonly graph: Graph }): JSX.Element {
  const [selected, setSelected] = useState<string | undefined>(undefined);
  return (
    <Card flush>
      <EdgeTable graph={graph} found={undefined} selected={selected} onSelect={setSelected} />
    </Card>
  );
}

function Pods({ pods }: { readonly pods: readonly PodSummary[] }): JSX.Element {
  return (
    <Card flush>
      <DataTable<PodSummary>
        label={t.lists.tabs.pods}
        rows={pods}
        rowKey={({ name }) => name}
        sortParameter="pods"
        empty={
          <Empty icon="workload" title={t.lists.noPods}>
            {t.lists.noPodsHelp}
          </Empty>
        }
        columns={[
          {
            id: 'name',
            title: t.lists.pod,
            head: true,
            sort: ({ name }) => name,
            cell: (pod) =>
              pod.hasProxy ? <a href={href(`/proxies/${pod.namespace}/${pod.name}`)}>{pod.name}</a> : pod.name,
          },
          {
            id: 'phase',
            title: t.lists.phase,
            sort: ({ phase, ready }) => `${ready ? 1 : 0}${phase}`,
            cell: ({ phase, ready, message }) => (
              <span class={`health ${ready ? 'healthy' : phase === 'Succeeded' ? 'idle' : 'failing'}`} title={message}>
                <Icon name={ready ? 'check' : 'error'} size={13} />
                {phase}
                {!ready && message !== undefined && <span class="soft">: {message}</span>}
              </span>
            ),
          },
          { id: 'containers', title: t.lists.containers, cell: ({ containers }) => containers.join(', ') },
          {
            id: 'proxy',
            title: t.lists.proxyColumn,
            sort: ({ hasProxy }) => Number(hasProxy),
            cell: ({ hasProxy }) => (hasProxy ? t.common.yes : <span class="warn">{t.lists.noProxy}</span>),
          },
          {
            id: 'restarts',
            title: t.lists.restarts,
            number: true,
            sort: ({ restarts }) => restarts,
            cell: ({ restarts }) => <span class={restarts > 0 ? 'warn' : ''}>{restarts}</span>,
          },
          {
            id: 'age',
            title: t.common.age,
            number: true,
            sort: ({ createdAt }) => -createdAt,
            cell: ({ createdAt }) => age(createdAt),
          },
          {
            id: 'logs',
            title: t.lists.openLogs,
            cell: (pod) => (
              <a href={href('/logs', { pod: `${pod.namespace}/${pod.name}` })}>
                <Icon name="logs" size={14} label={`${t.lists.openLogs}: ${pod.name}`} />
              </a>
            ),
          },
        ]}
      />
    </Card>
  );
}

function Configuration({ detail }: { readonly detail: Detail }): JSX.Element {
  if (detail.config.length === 0)
    return (
      <Notice level="info" title={t.lists.noConfig}>
        {t.lists.noConfigHelp}
      </Notice>
    );
  return (
    <Card flush>
      <DataTable
        label={t.lists.tabs.config}
        rows={detail.config}
        rowKey={({ kind, namespace, name }) => `${kind} ${namespace}/${name}`}
        sortParameter="objects"
        columns={[
          {
            id: 'name',
            title: t.common.name,
            head: true,
            sort: ({ name }) => name,
            cell: (object) => <ObjectLink object={object} plain />,
          },
          { id: 'kind', title: t.common.kind, sort: ({ kind }) => kind, cell: ({ kind }) => kind },
          {
            id: 'namespace',
            title: t.common.namespace,
            sort: ({ namespace }) => namespace,
            cell: ({ namespace }) => namespace,
          },
        ]}
      />
    </Card>
  );
}
