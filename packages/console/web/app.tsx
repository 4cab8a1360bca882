import type { JSX } from 'preact';
import { useErrorBoundary } from 'preact/hooks';
import { AddonsNotice } from './parts/addons.tsx';
import { Notice, Skeleton } from './parts/notice.tsx';
import { Page } from './parts/page.tsx';
import { Side } from './parts/side.tsx';
import { Toasts } from './parts/toast.tsx';
import { Topbar } from './parts/topbar.tsx';
import { ConfigDetailPage } from './pages/config-detail.tsx';
import { ConfigListPage } from './pages/config-list.tsx';
import { ConfigNewPage } from './pages/config-new.tsx';
import { DashboardPage } from './pages/dashboard.tsx';
import { DashboardsPage } from './pages/dashboards.tsx';
import { DetailPage } from './pages/detail.tsx';
import { ExplainPage } from './pages/explain.tsx';
import { GraphPage } from './pages/graph.tsx';
import { ListPage } from './pages/list.tsx';
import { LoginPage } from './pages/login.tsx';
import { LogsPage } from './pages/logs.tsx';
import { OverviewPage } from './pages/overview.tsx';
import { ProxiesPage } from './pages/proxies.tsx';
import { ProxyPage } from './pages/proxy.tsx';
import { SettingsPage } from './pages/settings.tsx';
import { ComparePage } from './pages/trace-compare.tsx';
import { TracePage } from './pages/trace.tsx';
import { TracesPage } from './pages/traces.tsx';
import { match, path } from './state/router.ts';
import { isAnonymous, readSession, needsLogin, session, sessionProblem, signingIn } from './state/session.ts';
import { settings } from './state/settings.ts';
import { t } from './texts.ts';

type Values = Readonly<Record<string, string>>;

/** Every page by its address. */
const pages: readonly (readonly [pattern: string, page: (values: Values) => JSX.Element])[] = [
  ['/', () => <OverviewPage />],
  ['/graph', () => <GraphPage />],
  ['/applications', () => <ListPage kind="apps" />],
  ['/workloads', () => <ListPage kind="workloads" />],
  ['/services', () => <ListPage kind="services" />],
  ['/applications/:namespace/:name', (values) => <DetailPage kind="apps" {...of(values)} />],
  ['/workloads/:namespace/:name', (values) => <DetailPage kind="workloads" {...of(values)} />],
  ['/services/:namespace/:name', (values) => <DetailPage kind="services" {...of(values)} />],
  ['/configuration', () => <ConfigListPage />],
  ['/configuration/new', () => <ConfigNewPage />],
  ['/configuration/:kind/:namespace/:name', (values) => <ConfigDetailPage kind={values.kind ?? ''} {...of(values)} />],
  ['/traces', () => <TracesPage />],
  ['/traces/compare', () => <ComparePage />],
  ['/traces/:id', ({ id = '' }) => <TracePage id={id} />],
  ['/logs', () => <LogsPage />],
  ['/dashboards', () => <DashboardsPage />],
  ['/dashboards/:uid', ({ uid = '' }) => <DashboardPage uid={uid} />],
  ['/proxies', () => <ProxiesPage />],
  ['/proxies/:namespace/:pod', ({ namespace = '', pod = '' }) => <ProxyPage namespace={namespace} pod={pod} />],
  ['/explain', () => <ExplainPage />],
  ['/settings', () => <SettingsPage />],
];

const of = ({ namespace = '', name = '' }: Values) => ({ namespace, name });

function CurrentPage(): JSX.Element {
  const [problem, forget] = useErrorBoundary();
  const where = path.value;
  if (problem)
    return (
      <Page title={t.errors.title}>
        <Notice
          level="error"
          title={t.errors.crashed}
          action={
            <button type="button" class="button" onClick={forget}>
              {t.common.reload}
            </button>
          }
        >
          <code>{String(problem)}</code>
        </Notice>
      </Page>
    );
  for (const [pattern, page] of pages) {
    const values = match(pattern, where);
    if (values) return page(values);
  }
  return (
    <Page title={t.errors.notFound}>
      <p>{t.errors.notFoundHelp}</p>
    </Page>
  );
}

/** The frame of the application: who may see it, menu, bar, page. */
export function App(): JSX.Element {
  if (session.value === undefined)
    return sessionProblem.value === undefined ? (
      <div class="opening">
        <Skeleton rows={5} />
      </div>
    ) : (
      <main class="opening">
        <Notice
          level="error"
          title={t.errors.title}
          action={
            <button type="button" class="button" onClick={() => void readSession()}>
              {t.common.reload}
            </button>
          }
        >
          {sessionProblem.value}
        </Notice>
      </main>
    );
  if (needsLogin() || (signingIn.value && isAnonymous())) return <LoginPage />;
  return (
    <div class={settings.value.narrowMenu ? 'shell narrow' : 'shell'}>
      <a class="skip" href="#content">
        {t.common.skip}
      </a>
      <Side />
      <div class="main">
        <Topbar />
        <AddonsNotice />
        <CurrentPage key={path.value} />
      </div>
      <Toasts />
    </div>
  );
}
