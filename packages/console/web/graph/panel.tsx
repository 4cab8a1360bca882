import type { JSX } from 'preact';
import type { Graph, GraphEdge, GraphNode, Traffic } from '../../src/api.ts';
import { errorClass, HealthMark, Reasons, TrafficLine } from '../parts/health.tsx';
import { Icon } from '../parts/icons.tsx';
import { objectHref } from '../parts/object-link.tsx';
import { bytesPerSecond, milliseconds, percent, rate } from '../state/format.ts';
import { href } from '../state/router.ts';
import { t } from '../texts.ts';
import { nodeObject, nodeTitle } from './names.ts';
import { badgeIcon, kindIcon } from './node-card.tsx';

interface PanelProps {
  readonly graph: Graph;
  readonly selected: string | undefined;
  readonly onSelect: (id: string | undefined) => void;
}

/** What is selected, in words and numbers; the whole graph when nothing is. */
export function Panel({
  graph,
  selected,
  onSelect,
  onClose,
}: PanelProps & { readonly onClose: () => void }): JSX.Element {
  const node = graph.nodes.find(({ id }) => id === selected);
  const edge = graph.edges.find(({ id }) => id === selected);
  return (
    <aside class="panel" aria-label={t.graph.panel}>
      {node ? (
        <NodePanel graph={graph} node={node} onSelect={onSelect} />
      ) : edge ? (
        <EdgePanel graph={graph} edge={edge} onSelect={onSelect} />
      ) : (
        <SummaryPanel graph={graph} onSelect={onSelect} onClose={onClose} />
      )}
    </aside>
  );
}

function PanelHead(props: {
  readonly kind: string;
  readonly title: string;
  readonly onClose: () => void;
}): JSX.Element {
  return (
    <header class="row spread">
      <div class="grow">
        <small class="faint">{props.kind}</small>
        <h2 class="wrap">{props.title}</h2>
      </div>
      <button type="button" class="button quiet icon" aria-label={t.common.close} onClick={props.onClose}>
        <Icon name="close" size={14} />
      </button>
    </header>
  );
}

const titleOf = (graph: Graph, id: string): string => {
  const node = graph.nodes.find((each) => each.id === id);
  return node ? [nodeTitle(node), node.version].filter(Boolean).join(' ') : id;
};

function EdgeList(props: {
  readonly graph: Graph;
  readonly title: string;
  readonly edges: readonly GraphEdge[];
  readonly end: 'source' | 'target';
  readonly onSelect: (id: string) => void;
}): JSX.Element {
  const edges = [...props.edges].sort((a, b) => b.traffic.requestsPerSecond - a.traffic.requestsPerSecond);
  return (
    <section>
      <h3>
        {props.title} <span class="count">{edges.length}</span>
      </h3>
      {edges.length === 0 ? (
        <p class="faint">{t.graph.noNeighbours}</p>
      ) : (
        <table class="mini">
          <tbody>
            {edges.map((edge) => (
              <tr key={edge.id}>
                <th scope="row">
                  <button type="button" class="link" onClick={() => props.onSelect(edge.id)}>
                    {edge.mutualTls > 0.995 && <Icon name="lock" size={11} label={t.graph.encrypted} />}
                    <span class="clip">{titleOf(props.graph, edge[props.end])}</span>
                  </button>
                </th>
                {edge.protocol === 'tcp' ? (
                  <td class="number" colSpan={3}>
                    {bytesPerSecond(edge.traffic.tcpSentBytesPerSecond + edge.traffic.tcpReceivedBytesPerSecond)}
                  </td>
                ) : (
                  <>
                    <td class="number">{rate(edge.traffic.requestsPerSecond)}/s</td>
                    <td class={`number ${errorClass(edge.traffic.errorRate)}`}>{percent(edge.traffic.errorRate)}</td>
                    <td class="number">{edge.traffic.p95 === undefined ? '–' : milliseconds(edge.traffic.p95)}</td>
                  </>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function NodePanel({
  graph,
  node,
  onSelect,
}: {
  readonly graph: Graph;
  readonly node: GraphNode;
  readonly onSelect: (id: string | undefined) => void;
}): JSX.Element {
  const object = nodeObject(node);
  return (
    <>
      <PanelHead
        kind={`${t.graph.kinds[node.kind]} · ${node.namespace}`}
        title={[nodeTitle(node), node.version].filter(Boolean).join(' ')}
        onClose={() => onSelect(undefined)}
      />
      <div class="row wrapping">
        <HealthMark health={node.health} />
        {object && (
          <a class="button small" href={objectHref(object)}>
            <Icon name={kindIcon[node.kind]} size={13} />
            {t.graph.details}
          </a>
        )}
        {node.service !== undefined && (
          <a class="button small" href={href('/traces', { service: `${node.namespace}/${node.service}` })}>
            <Icon name="traces" size={13} />
            {t.graph.traces}
          </a>
        )}
        {node.workload !== undefined && (
          <a class="button small" href={href('/logs', { workload: `${node.namespace}/${node.workload}` })}>
            <Icon name="logs" size={13} />
            {t.graph.logs}
          </a>
        )}
      </div>
      <Reasons health={node.health} />
      {node.badges.length > 0 && (
        <ul class="badge-list">
          {node.badges.map((badge) => (
            <li key={badge}>
              <Icon name={badgeIcon[badge]} size={13} />
              {t.graph.badges[badge]}
            </li>
          ))}
        </ul>
      )}
      <h3>{t.graph.received}</h3>
      <TrafficLine traffic={node.incoming} />
      <EdgeList
        graph={graph}
        title={t.graph.incoming}
        end="source"
        edges={graph.edges.filter(({ target }) => target === node.id)}
        onSelect={onSelect}
      />
      <EdgeList
        graph={graph}
        title={t.graph.outgoing}
        end="target"
        edges={graph.edges.filter(({ source }) => source === node.id)}
        onSelect={onSelect}
      />
    </>
  );
}

function Codes({ codes }: { readonly codes: GraphEdge['codes'] }): JSX.Element {
  const rows = Object.entries(codes).sort(([, a], [, b]) => b - a);
  const most = Math.max(...rows.map(([, value]) => value), 1e-9);
  return (
    <table class="mini">
      <tbody>
        {rows.map(([code, value]) => (
          <tr key={code}>
            <th scope="row" class={/^5|^-|^0/.test(code) ? 'bad' : /^4/.test(code) ? 'warn' : ''}>
              <code>{code}</code>
            </th>
            <td class="bar-cell">
              <svg class="bar" width="100%" height="6" aria-hidden="true">
                <rect width="100%" height="6" rx="3" class="track" />
                <rect
                  width={`${((value / most) * 100).toFixed(1)}%`}
                  height="6"
                  rx="3"
                  class={/^5|^-|^0/.test(code) ? 'bad' : 'fill'}
                />
              </svg>
            </td>
            <td class="number">{rate(value)}/s</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function EdgePanel({
  graph,
  edge,
  onSelect,
}: {
  readonly graph: Graph;
  readonly edge: GraphEdge;
  readonly onSelect: (id: string | undefined) => void;
}): JSX.Element {
  const { traffic } = edge;
  const encrypted =
    edge.mutualTls >= 0.995
      ? t.graph.encrypted
      : edge.mutualTls < 0.005
        ? t.graph.plain
        : t.graph.partly(percent(edge.mutualTls));
  return (
    <>
      <PanelHead
        kind={edge.protocol.toUpperCase()}
        title={`${titleOf(graph, edge.source)} → ${titleOf(graph, edge.target)}`}
        onClose={() => onSelect(undefined)}
      />
      <div class="row wrapping">
        <button type="button" class="button small" onClick={() => onSelect(edge.source)}>
          {t.graph.from}: {titleOf(graph, edge.source)}
        </button>
        <button type="button" class="button small" onClick={() => onSelect(edge.target)}>
          {t.graph.to}: {titleOf(graph, edge.target)}
        </button>
      </div>
      <p class={edge.mutualTls >= 0.995 ? 'row good' : 'row warn'}>
        <Icon name={edge.mutualTls >= 0.995 ? 'lock' : 'unlocked'} size={14} />
        {encrypted}
      </p>
      {edge.protocol !== 'tcp' && (
        <>
          <TrafficLine traffic={traffic} />
          <h3>{t.graph.latencies}</h3>
          <Latencies traffic={traffic} />
          <h3>{t.graph.codes}</h3>
          <Codes codes={edge.codes} />
        </>
      )}
      {edge.protocol === 'tcp' && (
        <dl class="facts">
          <dt>{t.graph.sent}</dt>
          <dd>{bytesPerSecond(traffic.tcpSentBytesPerSecond)}</dd>
          <dt>{t.graph.receivedBytes}</dt>
          <dd>{bytesPerSecond(traffic.tcpReceivedBytesPerSecond)}</dd>
        </dl>
      )}
    </>
  );
}

function Latencies({ traffic }: { readonly traffic: Traffic }): JSX.Element {
  const rows = [
    ['p50', traffic.p50],
    ['p95', traffic.p95],
    ['p99', traffic.p99],
  ] as const;
  const most = Math.max(...rows.map(([, value]) => value ?? 0), 1e-9);
  return (
    <table class="mini">
      <tbody>
        {rows.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class="bar-cell">
              <svg class="bar" width="100%" height="6" aria-hidden="true">
                <rect width="100%" height="6" rx="3" class="track" />
                <rect width={`${(((value ?? 0) / most) * 100).toFixed(1)}%`} height="6" rx="3" class="fill" />
              </svg>
            </td>
            <td class="number">{value === undefined ? '–' : milliseconds(value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

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

/** Figures of all edges together. */
export function totalsOf(graph: Graph): {
  readonly requests: number;
  readonly errors: number;
  readonly tcp: number;
  readonly locked: number;
} {
  const http = graph.edges.filter(({ protocol }) => protocol !== 'tcp');
  const requests = http.reduce((sum, { traffic }) => sum + traffic.requestsPerSecond, 0);
  const failed = http.reduce((sum, { traffic }) => sum + traffic.requestsPerSecond * traffic.errorRate, 0);
  const tcp = graph.edges.reduce(
    (sum, { traffic }) => sum + traffic.tcpSentBytesPerSecond + traffic.tcpReceivedBytesPerSecond,
    0,
  );
  const busy = graph.edges.filter(({ traffic, protocol }) =>
    protocol === 'tcp' ? traffic.tcpSentBytesPerSecond > 0 : traffic.requestsPerSecond > 0,
  );
  const locked = busy.length === 0 ? 0 : busy.reduce((sum, { mutualTls }) => sum + mutualTls, 0) / busy.length;
  return { requests, errors: requests === 0 ? 0 : failed / requests, tcp, locked };
}

function SummaryPanel({
  graph,
  onSelect,
  onClose,
}: {
  readonly graph: Graph;
  readonly onSelect: (id: string) => void;
  readonly onClose: () => void;
}): JSX.Element {
  const { requests, errors, tcp, locked } = totalsOf(graph);
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
          <dd>{percent(locked)}</dd>
        </div>
      </dl>
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

function Legend(): JSX.Element {
  const words = t.graph.legendEntries;
  return (
    <details class="legend-box" open>
      <summary>{t.graph.legend}</summary>
      <ul>
        {(['ok', 'warn', 'bad', 'tcp', 'idle'] as const).map((state) => (
          <li key={state}>
            <svg width="30" height="10" aria-hidden="true" class={`edge ${state}`}>
              <path class="line" d="M0 5H28" stroke-width={state === 'idle' ? 1.3 : 2.5} />
            </svg>
            {words[state]}
          </li>
        ))}
        <li>
          <svg width="30" height="10" aria-hidden="true" class="edge ok">
            <path class="line" d="M0 5H28" stroke-width="5" />
          </svg>
          {words.width}
        </li>
        <li>
          <span class="legend-icon">
            <Icon name="lock" size={13} />
          </span>
          {words.lock}
        </li>
        {(Object.keys(t.graph.badges) as (keyof typeof badgeIcon)[]).map((badge) => (
          <li key={badge}>
            <span class="legend-icon">
              <Icon name={badgeIcon[badge]} size={13} />
            </span>
            {t.graph.badges[badge]}
          </li>
        ))}
      </ul>
    </details>
  );
}
