import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { Graph } from '../../src/api.ts';
import { Notice } from '../parts/notice.tsx';
import { reducedMotion, settings } from '../state/settings.ts';
import { t } from '../texts.ts';
import { Canvas } from './canvas.tsx';
import type { LayoutInput } from './layout.ts';
import type { Found } from './query.ts';
import { areasOn, chosenLabels, isOn } from './toolbar.tsx';
import { useLayout } from './use-layout.ts';

/** Boxes around namespaces cost the layout much; large graphs do without. */
const mostWithAreas = 60;

/** Places a graph and draws it. */
export function Drawing(props: {
  readonly graph: Graph;
  readonly found: Found | undefined;
  readonly selected: string | undefined;
  readonly inset?: number;
  readonly onSelect: (id: string | undefined) => void;
}): JSX.Element {
  const { graph } = props;
  const boxes =
    areasOn() && graph.nodes.length <= mostWithAreas && new Set(graph.nodes.map(({ namespace }) => namespace)).size > 1;
  // Errors are on few edges: they get no room of their own everywhere.
  const lines = Math.max(1, chosenLabels().filter((kind) => kind !== 'errors' && kind !== 'tcp').length);
  const input = useMemo((): LayoutInput => {
    const namespaces = new Map(graph.groups.map((group) => [group.id, group.kind]));
    return {
      nodes: graph.nodes.map(({ id, group, namespace, kind }) => ({
        id,
        ...(group !== undefined && namespaces.get(group) === 'app' ? { group } : {}),
        ...(boxes && kind !== 'unknown' && namespace !== '' ? { area: namespace } : {}),
      })),
      edges: graph.edges.map(({ id, source, target }) => ({ id, source, target })),
      lines,
    };
  }, [graph, boxes, lines]);
  const { layout, pending, problem } = useLayout(input);
  const labels = chosenLabels().join(',');
  const locks = isOn('locks');
  const badges = isOn('badges');
  const idle = isOn('idle');
  const motion = settings.value.motion && !reducedMotion();
  // `labels` stands for the list.
  const options = useMemo(
    () => ({ labels: chosenLabels(), locks, badges, idle, motion }),
    [labels, locks, badges, idle, motion],
  );
  return (
    <>
      {problem !== undefined && (
        <Notice level="error" title={t.graph.layoutProblem}>
          {problem}
        </Notice>
      )}
      {layout ? (
        <Canvas
          graph={graph}
          layout={layout}
          options={options}
          found={props.found}
          selected={props.selected}
          inset={props.inset ?? 0}
          onSelect={props.onSelect}
        />
      ) : (
        <div class="canvas">{pending && <p class="placing">{t.graph.placing}</p>}</div>
      )}
    </>
  );
}
