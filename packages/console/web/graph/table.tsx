import type { JSX } from 'preact';
import type { Graph, GraphEdge } from '../../src/api.ts';
import { Icon } from '../parts/icons.tsx';
import { DataTable } from '../parts/table.tsx';
import { errorsColumn, latencyColumn, requestsColumn } from '../parts/traffic-columns.tsx';
import { bytesPerSecond } from '../state/format.ts';
import { t } from '../texts.ts';
import { encryptionOf, encryptionText } from './mutual-tls.ts';
import { nodeTitle } from './names.ts';
import type { Found } from './query.ts';

/** The graph's edges as a table: the same for those who cannot see or do not want the drawing. */
export function EdgeTable(props: {
  readonly graph: Graph;
  readonly found: Found | undefined;
  readonly selected: string | undefined;
  readonly onSelect: (id: string) => void;
}): JSX.Element {
  const { graph, found } = props;
  const nodes = new Map(
    graph.nodes.map((node) => [node.id, [nodeTitle(node), node.version].filter(Boolean).join(' ')]),
  );
  const rows = found
    ? graph.edges.filter(
        ({ id, source, target }) => found.edges.has(id) || found.nodes.has(source) || found.nodes.has(target),
      )
    : graph.edges;
  const tcp = ({ traffic }: GraphEdge) => traffic.tcpSentBytesPerSecond + traffic.tcpReceivedBytesPerSecond;
  return (
    <DataTable<GraphEdge>
      label={t.graph.edges}
      rows={rows}
      rowKey={({ id }) => id}
      selected={({ id }) => id === props.selected}
      columns={[
        {
          id: 'from',
          title: t.graph.from,
          head: true,
          sort: ({ source }) => nodes.get(source) ?? source,
          cell: (edge) => (
            <button type="button" class="link" onClick={() => props.onSelect(edge.id)}>
              {nodes.get(edge.source)}
            </button>
          ),
        },
        {
          id: 'to',
          title: t.graph.to,
          sort: ({ target }) => nodes.get(target) ?? target,
          cell: ({ target }) => nodes.get(target),
        },
        {
          id: 'protocol',
          title: t.graph.protocol,
          sort: ({ protocol }) => protocol,
          cell: ({ protocol }) => protocol.toUpperCase(),
        },
        requestsColumn(),
        errorsColumn(),
        latencyColumn(),
        {
          id: 'tcp',
          title: 'TCP',
          number: true,
          sort: tcp,
          cell: (edge) => (tcp(edge) === 0 ? '–' : bytesPerSecond(tcp(edge))),
        },
        {
          id: 'mtls',
          title: t.graph.encrypted,
          sort: ({ mutualTls }) => mutualTls ?? -1,
          cell: (edge) => {
            const encryption = encryptionOf(edge);
            if (encryption === 'all') return <Icon name="lock" size={14} label={t.graph.encrypted} />;
            return <span class={encryption === 'none' ? 'warn' : 'soft'}>{encryptionText(edge)}</span>;
          },
        },
      ]}
    />
  );
}
