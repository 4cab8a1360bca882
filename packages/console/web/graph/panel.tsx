import type { JSX } from 'preact';
import type { Graph } from '../../src/api.ts';
import { t } from '../texts.ts';
import { EdgePanel } from './edge-panel.tsx';
import { NodePanel } from './node-panel.tsx';
import { SummaryPanel } from './summary-panel.tsx';

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
