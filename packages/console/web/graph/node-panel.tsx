import type { JSX } from 'preact';
import type { Graph, GraphEdge, GraphNode } from '../../src/api.ts';
import { errorClass, HealthMark, Reasons, TrafficLine } from '../parts/health.tsx';
import { Icon } from '../parts/icons.tsx';
import { objectHref } from '../parts/object-link.tsx';
import { bytesPerSecond, milliseconds, percent, rate } from '../state/format.ts';
import { href } from '../state/router.ts';
import { t } from '../texts.ts';
import { encryptionOf } from './mutual-tls.ts';
import { nodeObject, nodeTitle, titleOf } from './names.ts';
import { badgeIcon, kindIcon } from './node-card.tsx';
import { PanelHead } from './panel-head.tsx';

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
                    {encryptionOf(edge) === 'all' && <Icon name="lock" size={11} label={t.graph.encrypted} />}
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

/** A node: how it is, what it gets, who calls it and whom it calls. */
export function NodePanel({
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
