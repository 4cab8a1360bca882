import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { Graph } from '../../src/api.ts';
import { Panel } from '../graph/panel.tsx';
import { type Found, find, hide } from '../graph/query.ts';
import { Replay } from '../graph/replay.tsx';
import { EdgeTable } from '../graph/table.tsx';
import { totalsOf } from '../graph/totals.ts';
import { chosenType, Toolbar } from '../graph/toolbar.tsx';
import { Drawing } from '../graph/drawing.tsx';
import { errorClass } from '../parts/health.tsx';
import { chosenNamespaces } from '../parts/namespaces.tsx';
import { Icon } from '../parts/icons.tsx';
import { Empty, ErrorNotice, Notice, Skeleton } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { chosenDuration } from '../parts/time.tsx';
import { percent, rate } from '../state/format.ts';
import { messageOf } from '../state/request.ts';
import { useResource } from '../state/resource.ts';
import { queryValue, setQuery } from '../state/router.ts';
import { t } from '../texts.ts';

function attempt(
  graph: Graph | undefined,
  text: string,
): { readonly found?: Found | undefined; readonly problem?: string } {
  if (!graph || text.trim() === '') return {};
  try {
    return { found: find(graph, text) };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

export function GraphPage(): JSX.Element {
  const at = Number(queryValue('at')) || undefined;
  const address = new URLSearchParams({
    namespaces: chosenNamespaces().join(','),
    type: chosenType(),
    duration: String(chosenDuration(60)),
    ...(at === undefined ? {} : { at: String(at) }),
  });
  const resource = useResource<Graph>(`graph?${address}`, { keep: true, poll: at === undefined });
  const whole = resource.data;
  const hideText = queryValue('hide');
  const findText = queryValue('find');
  const hidden = useMemo(() => attempt(whole, hideText), [whole, hideText]);
  const graph = useMemo(() => whole && hide(whole, hidden.found), [whole, hidden]);
  const sought = useMemo(() => attempt(graph, findText), [graph, findText]);
  const selected = queryValue('selected') || undefined;
  const open = selected !== undefined || queryValue('summary') === 'on';
  const select = (id: string | undefined) => setQuery({ selected: id });
  return (
    <Page title={t.graph.title} full>
      <Toolbar found={sought.found} findProblem={sought.problem} hideProblem={hidden.problem} />
      {at !== undefined && <Replay at={at} />}
      {resource.error && <ErrorNotice error={resource.error} retry={resource.reload} />}
      {graph && graph.warnings.length > 0 && (
        <Notice level="warning" title={t.graph.warnings}>
          {graph.warnings.join(' ')}
        </Notice>
      )}
      {!graph && !resource.error && <Skeleton rows={8} />}
      {graph && graph.nodes.length === 0 && (
        <Empty icon="graph" title={t.graph.empty}>
          {whole && whole.nodes.length > 0 ? t.graph.allHidden : t.graph.emptyHelp}
        </Empty>
      )}
      {graph && graph.nodes.length > 0 && (
        <div class="graph-frame">
          {queryValue('view') === 'table' ? (
            <div class="table-frame">
              <EdgeTable graph={graph} found={sought.found} selected={selected} onSelect={select} />
            </div>
          ) : (
            <Drawing graph={graph} found={sought.found} selected={selected} inset={open ? 330 : 0} onSelect={select} />
          )}
          {open ? (
            <Panel
              graph={graph}
              selected={selected}
              onSelect={select}
              onClose={() => setQuery({ summary: undefined })}
            />
          ) : (
            queryValue('view') !== 'table' && <Chip graph={graph} />
          )}
        </div>
      )}
    </Page>
  );
}

/** The whole graph in one line; opens the summary. */
function Chip({ graph }: { readonly graph: Graph }): JSX.Element {
  const { requests, errors, locked, unclear } = totalsOf(graph);
  return (
    <button
      type="button"
      class="graph-chip"
      aria-label={t.graph.openSummary}
      title={t.graph.openSummary}
      onClick={() => setQuery({ summary: 'on' })}
    >
      <span>
        <b>{graph.nodes.length}</b> {t.graph.nodes.toLowerCase()}
      </span>
      <span>
        <b>{rate(requests)}</b> {t.common.perSecond}
      </span>
      <span>
        <b class={errorClass(errors)}>{percent(errors)}</b> {t.common.errors.toLowerCase()}
      </span>
      <span title={unclear > 0 ? `${t.graph.mtlsShare}. ${t.graph.unclear(unclear)}` : t.graph.mtlsShare}>
        <Icon name="lock" size={12} /> <b>{locked === undefined ? t.common.unknown : percent(locked)}</b>
        {locked !== undefined && unclear > 0 && ` ${t.graph.unclearShort(unclear)}`}
      </span>
      <Icon name="left" size={13} />
    </button>
  );
}
