// Places the graph's cards in layers from left to right. Pure, so that it runs in a thread of its own and in tests.
import { Graph, layout } from '@dagrejs/dagre';

export interface LayoutNode {
  readonly id: string;
  /** Nodes of one group are stacked in a box. */
  readonly group?: string;
  /** A box around nodes of several layers. */
  readonly area?: string;
}

export interface LayoutEdge {
  readonly id: string;
  readonly source: string;
  readonly target: string;
}

export interface LayoutInput {
  readonly nodes: readonly LayoutNode[];
  readonly edges: readonly LayoutEdge[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

/** Positions: nodes by their middle, boxes by their upper left corner, edges as the `d` of a path and the place of their label. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly nodes: Readonly<Record<string, Point>>;
  readonly groups: Readonly<Record<string, Box>>;
  readonly areas: Readonly<Record<string, Box>>;
  readonly edges: Readonly<Record<string, { readonly path: string; readonly label: Point; readonly box: Box }>>;
}

export const card = { width: 176, height: 48 } as const;
const inBox = { padding: 10, head: 22, gap: 8 } as const;
/** From so many nodes on the quicker way of ranking is taken: seconds become tenths. */
const large = 120;

interface Unit {
  readonly id: string;
  readonly members: readonly LayoutNode[];
  readonly boxed: boolean;
}

/** Nodes of a group become one unit; a group of one needs no box. */
function unitsOf(nodes: readonly LayoutNode[]): readonly Unit[] {
  const groups = Map.groupBy(nodes, ({ id, group }) => (group === undefined ? `node ${id}` : `group ${group}`));
  return [...groups].map(([key, members]) => ({
    id: members.length === 1 ? `node ${members[0]?.id}` : key,
    members,
    boxed: members.length > 1,
  }));
}

const sizeOf = ({ members, boxed }: Unit): { width: number; height: number } =>
  boxed
    ? {
        width: card.width + 2 * inBox.padding,
        height: inBox.head + inBox.padding + members.length * card.height + (members.length - 1) * inBox.gap,
      }
    : card;

export function layoutGraph({ nodes, edges }: LayoutInput): Layout {
  const units = unitsOf(nodes);
  const unitOf = new Map(units.flatMap((unit) => unit.members.map(({ id }) => [id, unit.id] as const)));
  const areas = new Set(nodes.flatMap(({ area }) => (area === undefined ? [] : [area])));
  const graph = new Graph({ multigraph: true, compound: true });
  graph.setGraph({
    rankdir: 'LR',
    nodesep: 22,
    edgesep: 14,
    ranksep: 96,
    marginx: 24,
    marginy: 24,
    ranker: nodes.length > large ? 'longest-path' : 'network-simplex',
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const area of areas) graph.setNode(`area ${area}`, {});
  for (const unit of units) {
    graph.setNode(unit.id, { ...sizeOf(unit) });
    const area = unit.members[0]?.area;
    if (area !== undefined) graph.setParent(unit.id, `area ${area}`);
  }
  // Edges between the same two units take one way: fewer crossings to count, and only the ends differ.
  for (const { source, target } of edges) {
    const from = unitOf.get(source);
    const to = unitOf.get(target);
    if (from !== undefined && to !== undefined && from !== to) graph.setEdge(from, to, {});
  }
  layout(graph);

  const places: Record<string, Point> = {};
  const groups: Record<string, Box> = {};
  for (const unit of units) {
    const { x = 0, y = 0 } = graph.node(unit.id) as { x?: number; y?: number };
    const { width, height } = sizeOf(unit);
    if (unit.boxed) groups[unit.members[0]?.group ?? unit.id] = { x: x - width / 2, y: y - height / 2, width, height };
    for (const [index, { id }] of unit.members.entries())
      places[id] = unit.boxed
        ? { x, y: y - height / 2 + inBox.head + card.height / 2 + index * (card.height + inBox.gap) }
        : { x, y };
  }
  const boxes: Record<string, Box> = {};
  for (const area of areas) {
    const { x = 0, y = 0, width = 0, height = 0 } = graph.node(`area ${area}`) as Partial<Box>;
    boxes[area] = { x: x - width / 2, y: y - height / 2, width, height };
  }
  const drawn: Record<string, { path: string; label: Point; box: Box }> = {};
  for (const { id, source, target } of edges) {
    const from = places[source];
    const to = places[target];
    if (!from || !to) continue;
    const one = unitOf.get(source);
    const other = unitOf.get(target);
    const way =
      one === undefined || other === undefined || one === other
        ? []
        : ((graph.edge(one, other) as { points?: readonly Point[] } | undefined)?.points ?? []).slice(1, -1);
    const line = one === other ? loop(from, to) : curve(from, to, way);
    drawn[id] = { ...line, box: boxOf(line.points) };
  }
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return {
    width: Number.isFinite(width) ? width : 0,
    height: Number.isFinite(height) ? height : 0,
    nodes: places,
    groups,
    areas: boxes,
    edges: drawn,
  };
}

interface Line {
  readonly path: string;
  readonly label: Point;
  readonly points: readonly Point[];
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** A line that leaves and enters cards level, through the points that the layout kept free for it. */
function curve(from: Point, to: Point, way: readonly Point[]): Line {
  const forward = to.x >= from.x;
  const side = forward ? card.width / 2 : -card.width / 2;
  const start = { x: from.x + side, y: from.y };
  // The arrow's head needs a little room.
  const end = { x: to.x - side - (forward ? 7 : -7), y: to.y };
  const points = [start, ...way.filter(({ x }) => (forward ? x > start.x && x < end.x : x < start.x && x > end.x)), end];
  let path = `M${round(start.x)} ${round(start.y)}`;
  for (const [index, point] of points.entries()) {
    const before = points[index - 1];
    if (!before) continue;
    const middle = round((before.x + point.x) / 2);
    path += `C${middle} ${round(before.y)} ${middle} ${round(point.y)} ${round(point.x)} ${round(point.y)}`;
  }
  const half = Math.max(1, Math.floor(points.length / 2));
  const [a = start, b = end] = [points[half - 1], points[half]];
  return { path, label: { x: round((a.x + b.x) / 2), y: round((a.y + b.y) / 2) }, points };
}

/** An arc beside the box: a call to itself, or to another version of the same application. */
function loop(from: Point, to: Point): Line {
  const x = from.x + card.width / 2;
  const same = from === to || (from.x === to.x && from.y === to.y);
  const start = { x, y: from.y - (same ? 10 : 0) };
  const end = { x: x + 7, y: to.y + (same ? 10 : 0) };
  const out = x + 44;
  return {
    path: `M${round(start.x)} ${round(start.y)}C${round(out)} ${round(start.y)} ${round(out)} ${round(end.y)} ${round(end.x)} ${round(end.y)}`,
    label: { x: round(out - 8), y: round((start.y + end.y) / 2) },
    points: [start, end, { x: out, y: start.y }],
  };
}

function boxOf(points: readonly Point[]): Box {
  const xs = points.map(({ x }) => x);
  const ys = points.map(({ y }) => y);
  const x = Math.min(...xs);
  const y = Math.min(...ys);
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}
