import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { Graph } from '../../src/api.ts';
import { type Detail, touches } from './camera.ts';
import { EdgeLine, type EdgeLineProps, EdgePlate } from './edge-line.tsx';
import { type EdgeLabelKind, edgeLabel, edgeState } from './labels.ts';
import { type Box, card, type Layout } from './layout.ts';
import { NodeCard } from './node-card.tsx';
import type { Found } from './query.ts';

export interface SceneOptions {
  readonly labels: readonly EdgeLabelKind[];
  readonly locks: boolean;
  readonly badges: boolean;
  readonly motion: boolean;
  readonly idle: boolean;
}

export interface SceneProps extends SceneOptions {
  readonly graph: Graph;
  readonly layout: Layout;
  readonly region: Box;
  readonly detail: Detail;
  /** Id of a node or an edge. */
  readonly selected: string | undefined;
  readonly hovered: string | undefined;
  readonly focused: string | undefined;
  readonly found: Found | undefined;
}

/** From so many edges in view on, nothing runs along them. */
const mostMoving = 150;
/** From so many plates in view on, only those of selected and found edges are drawn. */
const mostPlates = 180;

/** What the graph shows of a region at a level of detail. Things outside are not in the document at all. */
export function Scene(props: SceneProps): JSX.Element {
  const { graph, layout, region, detail, selected, found } = props;
  const active = props.selected ?? props.hovered;
  const near = useMemo(() => {
    if (active === undefined) return undefined;
    const edges = graph.edges.filter(
      ({ id, source, target }) => id === active || source === active || target === active,
    );
    return {
      edges: new Set(edges.map(({ id }) => id)),
      nodes: new Set([active, ...edges.flatMap(({ source, target }) => [source, target])]),
    };
  }, [active, graph]);

  const tone = (id: string, isNear: boolean, isFound: boolean): EdgeLineProps['tone'] => {
    if (id === selected) return 'selected';
    if (found) return isFound ? 'found' : 'dim';
    if (near) return isNear ? 'near' : 'dim';
    return 'plain';
  };
  const several = useMemo(() => new Set(graph.nodes.map(({ namespace }) => namespace)).size > 1, [graph.nodes]);

  const nodes = graph.nodes.filter(({ id }) => {
    const at = layout.nodes[id];
    return (
      at && (id === props.focused || touches({ x: at.x - card.width / 2, y: at.y - card.height / 2, ...card }, region))
    );
  });
  const edges = graph.edges.flatMap((edge) => {
    const line = layout.edges[edge.id];
    if (!line || !touches({ ...line.box, width: line.box.width + 1, height: line.box.height + 1 }, region)) return [];
    if (!props.idle && edgeState(edge) === 'idle') return [];
    return [{ edge, line }];
  });
  const few = edges.length <= mostPlates;
  const moving = props.motion && edges.length <= mostMoving && detail !== 'shape';
  const drawn = edges.map(({ edge, line }): EdgeLineProps => {
    const how = tone(edge.id, near?.edges.has(edge.id) === true, found?.edges.has(edge.id) === true);
    const plate = detail === 'full' && (few || how === 'selected' || how === 'near' || how === 'found');
    return {
      edge,
      line,
      label: plate ? edgeLabel(edge, props.labels) : [],
      lock: plate && props.locks,
      motion: moving && how !== 'dim',
      simple: detail === 'shape',
      tone: how,
    };
  });
  return (
    <>
      {Object.entries(layout.areas).map(([name, box]) => (
        <g key={`area ${name}`} class="area">
          <rect x={box.x} y={box.y - 18} width={box.width} height={box.height + 18} rx={14} />
          <text
            x={box.x + 12}
            y={box.y - 2}
            style={{ fontSize: detail === 'full' ? '12px' : detail === 'name' ? '18px' : '40px' }}
          >
            {name}
          </text>
        </g>
      ))}
      {Object.entries(layout.groups)
        .filter(([, box]) => touches(box, region))
        .map(([id, box]) => (
          <g key={`group ${id}`} class="group">
            <rect x={box.x} y={box.y} width={box.width} height={box.height} rx={12} />
            {detail !== 'shape' && (
              <text x={box.x + 12} y={box.y + 16}>
                {graph.groups.find((group) => group.id === id)?.label ?? id}
              </text>
            )}
          </g>
        ))}
      <g class="edges">
        {drawn.map((each) => (
          <EdgeLine key={each.edge.id} {...each} />
        ))}
      </g>
      <g class="plates">
        {drawn
          .filter(({ label, lock }) => label.length > 0 || lock)
          .map((each) => (
            <EdgePlate key={each.edge.id} {...each} />
          ))}
      </g>
      <g class="nodes">
        {nodes.map((node) => {
          const at = layout.nodes[node.id];
          return (
            at && (
              <NodeCard
                key={node.id}
                node={node}
                at={at}
                detail={detail}
                boxed={node.group !== undefined && layout.groups[node.group] !== undefined}
                showNamespace={several && Object.keys(layout.areas).length === 0}
                showBadges={props.badges}
                tone={tone(node.id, near?.nodes.has(node.id) === true, found?.nodes.has(node.id) === true)}
                tabStop={node.id === props.focused}
              />
            )
          );
        })}
      </g>
    </>
  );
}
