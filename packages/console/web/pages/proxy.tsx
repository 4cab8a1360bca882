import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { CertificateState, ProxyDetail, ProxyRow } from '../../src/api.ts';
import { YamlEditor } from '../editor/yaml-editor.tsx';
import { CopyButton, SearchBox } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { Empty, Loaded, Notice } from '../parts/notice.tsx';
import { ObjectLinks } from '../parts/object-link.tsx';
import { Card, Page } from '../parts/page.tsx';
import { type Column, DataTable } from '../parts/table.tsx';
import { Tabs } from '../parts/tabs.tsx';
import { dateTime, span } from '../state/format.ts';
import { useResource } from '../state/resource.ts';
import { href, queryValue, setQuery } from '../state/router.ts';
import { t } from '../texts.ts';
import { isInSync, SyncMark } from './proxies.tsx';

const day = 86_400_000;

export function ProxyPage({ namespace, pod }: { readonly namespace: string; readonly pod: string }): JSX.Element {
  const resource = useResource<ProxyDetail>(`proxies/${namespace}/${pod}`, { keep: true });
  return (
    <Page
      title={pod}
      crumbs={[
        { label: t.proxies.title, to: '/proxies' },
        { label: namespace, to: `/proxies?ns=${namespace}` },
      ]}
      actions={
        <>
          <a class="button" href={href('/logs', { pod: `${namespace}/${pod}` })}>
            <Icon name="logs" size={14} />
            {t.proxies.logs}
          </a>
          <a class="button" href={href('/explain', { proxy: `${namespace}/${pod}` })}>
            <Icon name="explain" size={14} />
            {t.proxies.explain}
          </a>
        </>
      }
    >
      <Loaded resource={resource} rows={12}>
        {(proxy) => (
          <>
            <div class="strip">
              <span class="pill accent">{t.proxies.types[proxy.type]}</span>
              <span>
                <span class="faint">{t.common.version_}</span> {proxy.version}
              </span>
              <span>
                <span class="faint">{t.proxies.istiod}</span> {proxy.istiod}
              </span>
              {Object.entries(proxy.sync).map(([type, state]) => (
                <span key={type} class="row">
                  <span class="faint">{type}</span>
                  <SyncMark sync={state} />
                </span>
              ))}
            </div>
            {proxy.message !== undefined && <Notice level={isInSync(proxy) ? 'info' : 'error'}>{proxy.message}</Notice>}
            <Tabs
              label={pod}
              tabs={[
                {
                  id: 'listeners',
                  title: t.proxies.tabs.listeners,
                  count: proxy.listeners.length,
                  body: () => <Rows title={t.proxies.tabs.listeners} rows={proxy.listeners} />,
                },
                {
                  id: 'routes',
                  title: t.proxies.tabs.routes,
                  count: proxy.routes.length,
                  body: () => <Rows title={t.proxies.tabs.routes} rows={proxy.routes} />,
                },
                {
                  id: 'clusters',
                  title: t.proxies.tabs.clusters,
                  count: proxy.clusters.length,
                  body: () => <Rows title={t.proxies.tabs.clusters} rows={proxy.clusters} />,
                },
                {
                  id: 'endpoints',
                  title: t.proxies.tabs.endpoints,
                  count: proxy.endpoints.length,
                  body: () => <Rows title={t.proxies.tabs.endpoints} rows={proxy.endpoints} />,
                },
                {
                  id: 'certificates',
                  title: t.proxies.tabs.certificates,
                  count: proxy.certificates.length,
                  mark: proxy.certificates.some(({ valid, notAfter }) => !valid || notAfter < Date.now())
                    ? 'bad'
                    : undefined,
                  body: () => <Certificates certificates={proxy.certificates} />,
                },
                {
                  id: 'levels',
                  title: t.proxies.tabs.logLevels,
                  count: Object.keys(proxy.logLevels).length,
                  body: () => <LogLevels levels={proxy.logLevels} />,
                },
              ]}
            />
          </>
        )}
      </Loaded>
    </Page>
  );
}

interface NumberedRow extends ProxyRow {
  readonly key: string;
}

const heading = (cell: string): string =>
  cell.charAt(0).toUpperCase() + cell.slice(1).replace(/([a-z])([A-Z])/g, '$1 $2');

/** Resources of one type: columns as the server names them, what they came from, and the whole JSON below a row. */
function Rows({ title, rows }: { readonly title: string; readonly rows: readonly ProxyRow[] }): JSX.Element {
  const filter = queryValue('q').toLowerCase();
  const numbered = useMemo(
    () => rows.map((row, index): NumberedRow => ({ ...row, key: `${row.name} ${index}` })),
    [rows],
  );
  const shown = numbered.filter(
    ({ name, cells, from }) =>
      filter === '' ||
      `${name} ${Object.values(cells).join(' ')} ${from.map((each) => `${each.kind}/${each.name}.${each.namespace}`).join(' ')}`
        .toLowerCase()
        .includes(filter),
  );
  const names = [...new Set(rows.flatMap(({ cells }) => Object.keys(cells)))];
  const columns: readonly Column<NumberedRow>[] = [
    {
      id: 'name',
      title: t.common.name,
      head: true,
      sort: ({ name }) => name,
      cell: ({ name }) => <code class={name.length > 24 ? 'wrap long' : 'whole'}>{name}</code>,
    },
    ...names.map(
      (name): Column<NumberedRow> => ({
        id: `cell-${name}`,
        title: heading(name),
        sort: ({ cells }) => cells[name] ?? '',
        cell: ({ cells }) => {
          const text = cells[name] ?? '';
          // Short words stay whole; only what is long may be broken anywhere.
          return <span class={text.length > 24 ? 'wrap long' : 'whole'}>{text}</span>;
        },
      }),
    ),
    {
      id: 'from',
      title: t.proxies.from,
      sort: ({ from }) => from.map(({ name }) => name).join(),
      cell: ({ from }) => (
        <span class="whole">
          <ObjectLinks objects={from} />
        </span>
      ),
    },
  ];
  return (
    <>
      <div class="toolbar">
        <SearchBox label={t.proxies.filter} value={queryValue('q')} width={280} onChange={(q) => setQuery({ q })} />
        <span class="faint" aria-live="polite">
          {t.proxies.rows(shown.length, rows.length)}
        </span>
      </div>
      <Card flush>
        <DataTable<NumberedRow>
          label={title}
          columns={columns}
          rows={shown}
          rowKey={({ key }) => key}
          detail={(row) => <JsonView name={row.name} json={row.json} />}
          empty={
            <Empty icon="proxies" title={t.proxies.noRows}>
              {t.proxies.noRowsHelp}
            </Empty>
          }
        />
      </Card>
    </>
  );
}

function JsonView({ name, json }: { readonly name: string; readonly json: unknown }): JSX.Element {
  const text = JSON.stringify(json, null, 2) ?? '';
  const lines = text.split('\n').length;
  return (
    <div class="json-view">
      <div class="row spread">
        <h3>{t.proxies.jsonOf(name)}</h3>
        <CopyButton text={text} />
      </div>
      <YamlEditor
        label={t.proxies.jsonOf(name)}
        value={text}
        readOnly
        height={`${Math.min(Math.max(lines, 6) * 19 + 20, 460)}px`}
      />
    </div>
  );
}

function Certificates({ certificates }: { readonly certificates: readonly CertificateState[] }): JSX.Element {
  if (certificates.length === 0)
    return (
      <Empty icon="lock" title={t.proxies.noCertificates}>
        {t.proxies.noCertificatesHelp}
      </Empty>
    );
  const now = Date.now();
  return (
    <Card flush>
      <DataTable<CertificateState>
        label={t.proxies.tabs.certificates}
        rows={certificates}
        rowKey={({ name, serial, type }) => `${name} ${type} ${serial}`}
        sortParameter="certificates"
        columns={[
          {
            id: 'name',
            title: t.common.name,
            head: true,
            sort: ({ name }) => name,
            cell: ({ name }) => <code>{name}</code>,
          },
          {
            id: 'type',
            title: t.proxies.type,
            sort: ({ type }) => type,
            cell: ({ type }) => t.proxies.certificateTypes[type],
          },
          {
            id: 'valid',
            title: t.proxies.valid,
            sort: ({ valid }) => Number(valid),
            cell: ({ valid }) => (
              <span class={`health ${valid ? 'healthy' : 'failing'}`}>
                <Icon name={valid ? 'check' : 'error'} size={13} />
                {valid ? t.proxies.valid : t.proxies.invalid}
              </span>
            ),
          },
          {
            id: 'identities',
            title: t.proxies.identity,
            cell: ({ identities }) => (
              <ul>
                {identities.map((identity) => (
                  <li key={identity} class="mono wrap">
                    {identity}
                  </li>
                ))}
              </ul>
            ),
          },
          {
            id: 'notBefore',
            title: t.proxies.notBefore,
            sort: ({ notBefore }) => notBefore,
            cell: ({ notBefore }) => dateTime(notBefore),
          },
          {
            id: 'notAfter',
            title: t.proxies.notAfter,
            sort: ({ notAfter }) => notAfter,
            cell: ({ notAfter, notBefore }) => {
              const left = notAfter - now;
              const share = Math.min(Math.max(left / (notAfter - notBefore || 1), 0), 1);
              const tone = left < 0 ? 'bad' : share < 0.2 && left < 30 * day ? 'warn' : '';
              return (
                <div>
                  <span class={tone}>
                    {left < 0 ? t.proxies.expired(span(-left / 1000)) : t.proxies.expiresIn(span(left / 1000))}
                  </span>{' '}
                  <span class="faint">{dateTime(notAfter)}</span>
                  <svg class="bar block" width="120" height="5" aria-hidden="true">
                    <rect width="120" height="5" rx="2.5" class="track" />
                    <rect width={120 * share} height="5" rx="2.5" class={tone === '' ? 'fill' : tone} />
                  </svg>
                </div>
              );
            },
          },
          { id: 'serial', title: t.proxies.serial, cell: ({ serial }) => <code class="faint wrap">{serial}</code> },
        ]}
      />
    </Card>
  );
}

function LogLevels({ levels }: { readonly levels: ProxyDetail['logLevels'] }): JSX.Element {
  return (
    <Card flush>
      <DataTable<readonly [string, string]>
        label={t.proxies.tabs.logLevels}
        rows={Object.entries(levels)}
        rowKey={([name]) => name}
        sortParameter="levels"
        columns={[
          {
            id: 'logger',
            title: t.proxies.logger,
            head: true,
            sort: ([name]) => name,
            cell: ([name]) => <code>{name}</code>,
          },
          {
            id: 'level',
            title: t.proxies.level,
            sort: ([, level]) => level,
            cell: ([, level]) => (
              <span class={level === 'debug' || level === 'trace' ? 'pill warn' : 'pill'}>{level}</span>
            ),
          },
        ]}
      />
    </Card>
  );
}
