import type { JSX } from 'preact';
import type { Graph, GraphEdge, Traffic } from '../../src/api.ts';
import { TrafficLine } from '../parts/health.tsx';
import { Icon } from '../parts/icons.tsx';
import { bytesPerSecond, milliseconds, rate } from '../state/format.ts';
import { t } from '../texts.ts';
import { encryptionOf, encryptionText } from './mutual-tls.ts';
import { titleOf } from './names.ts';
import { PanelHead } from './panel-head.tsx';

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

/** A call: between whom, how protected, how much, how fast, with which answers. */
export function EdgePanel({
  graph,
  edge,
  onSelect,
}: {
  readonly graph: Graph;
  readonly edge: GraphEdge;
  readonly onSelect: (id: string | undefined) => void;
}): JSX.Element {
  const { traffic } = edge;
  const encryption = encryptionOf(edge);
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
      <p class={`row ${encryption === 'all' ? 'good' : encryption === 'unknown' ? 'soft' : 'warn'}`}>
        <Icon name={encryption === 'all' ? 'lock' : encryption === 'unknown' ? 'unknown' : 'unlocked'} size={14} />
        {encryptionText(edge)}
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
