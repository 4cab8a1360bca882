import type { JSX } from 'preact';
import type { Graph, GraphEdge } from '../../src/api.ts';
import { errorClass } from '../parts/health.tsx';
import { bytesPerSecond, milliseconds, percent, rate } from '../state/format.ts';
import { t } from '../texts.ts';
import { Legend } from './legend.tsx';
import { titleOf } from './names.ts';
import { PanelHead } from './panel-head.tsx';
import { totalsOf } from './totals.ts';

function Ranking(props: {
  readonly graph: Graph;
  readonly title: string;
  readonly none: string;
  readonly rows: readonly (readonly [GraphEdge, string, string?])[];
  readonly onSelect: (id: string) => void;
}): JSX.Element {
  return (
    <section>
      <h3>{props.title}</h3>
      {props.rows.length === 0 ? (
        <p class="faint">{props.none}</p>
      ) : (
        <table class="mini">
          <tbody>
            {props.rows.map(([edge, value, tone = '']) => (
              <tr key={edge.id}>
                <th scope="row">
                  <button type="button" class="link" onClick={() => props.onSelect(edge.id)}>
                    <span class="clip">
                      {titleOf(props.graph, edge.source)} → {titleOf(props.graph, edge.target)}
                    </span>
                  </button>
                </th>
                <td class={`number ${tone}`}>{value}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

/** The whole graph in figures, where it fails and where it is slow. */
export function SummaryPanel({
  graph,
  onSelect,
  onClose,
}: {
  readonly graph: Graph;
  readonly onSelect: (id: string) => void;
  readonly onClose: () => void;
}): JSX.Element {
  const { requests, errors, tcp, locked, unclear } = totalsOf(graph);
  const http = graph.edges.filter(({ protocol }) => protocol !== 'tcp');
  const worst = http
    .filter(({ traffic }) => traffic.errorRate > 0)
    .sort(
      (a, b) => b.traffic.errorRate * b.traffic.requestsPerSecond - a.traffic.errorRate * a.traffic.requestsPerSecond,
    )
    .slice(0, 5);
  const slowest = http
    .filter(({ traffic }) => traffic.p95 !== undefined)
    .sort((a, b) => (b.traffic.p95 ?? 0) - (a.traffic.p95 ?? 0))
    .slice(0, 5);
  return (
    <>
      <PanelHead kind={t.graph.title} title={t.graph.summary} onClose={onClose} />
      <dl class="figures">
        <div>
          <dt>{t.graph.nodes}</dt>
          <dd>{graph.nodes.length}</dd>
        </div>
        <div>
          <dt>{t.graph.edges}</dt>
          <dd>{graph.edges.length}</dd>
        </div>
        <div>
          <dt>{t.graph.mtlsShare}</dt>
          <dd>{locked === undefined ? t.common.unknown : percent(locked)}</dd>
        </div>
      </dl>
      {unclear > 0 && <p class="faint small">{t.graph.unclear(unclear)}</p>}
      <h3>{t.graph.total}</h3>
      <dl class="figures">
        <div>
          <dt>{t.common.requests}</dt>
          <dd>
            {rate(requests)} <small>{t.common.perSecond}</small>
          </dd>
        </div>
        <div>
          <dt>{t.common.errors}</dt>
          <dd class={errorClass(errors)}>{percent(errors)}</dd>
        </div>
        {tcp > 0 && (
          <div>
            <dt>TCP</dt>
            <dd>{bytesPerSecond(tcp)}</dd>
          </div>
        )}
      </dl>
      <Ranking
        graph={graph}
        title={t.graph.worst}
        none={t.graph.noErrors}
        rows={worst.map((edge) => [edge, percent(edge.traffic.errorRate), errorClass(edge.traffic.errorRate)])}
        onSelect={onSelect}
      />
      <Ranking
        graph={graph}
        title={t.graph.slowest}
        none={t.graph.noCalls}
        rows={slowest.map((edge) => [edge, milliseconds(edge.traffic.p95 ?? 0)])}
        onSelect={onSelect}
      />
      <Legend />
    </>
  );
}
