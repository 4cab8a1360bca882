// Places the graph's cards in layers from left to right. Pure, so that it runs in a thread of its own and in tests.
import { Graph, layout } from '@dagrejs/dagre';
import { foldLayers } from './fold.ts';

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
  /** Lines of figures that an edge usually has; 1 when it is not said. */
  readonly lines?: number;
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

export const card = { width: 178, height: 50 } as const;
const inBox = { padding: 9, head: 22, gap: 8 } as const;
/** Room that is kept free for the figures of an edge. */
const plate = { width: 66, line: 15 } as const;
/** Up to so many nodes the figures of edges have room of their own; in larger graphs nobody reads them all. */
const mostWithPlates = 60;
/** From so many nodes on the quicker way of ranking is taken: seconds become tenths. */
const large = 120;

/** Stands before all others and is not drawn. */
const entrance = 'entrance';

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

/** Places a graph. Boxes around several layers are more than the layout can do with some graphs: those are placed without. */
export function layoutGraph(input: LayoutInput): Layout {
  try {
    return place(input);
  } catch (error) {
    if (!input.nodes.some(({ area }) => area !== undefined)) throw error;
    return place({ ...input, nodes: input.nodes.map(({ area: _, ...node }) => node) });
  }
}

function place({ nodes, edges, lines = 1 }: LayoutInput): Layout {
  const plateHeight = 6 + plate.line * lines;
  const units = unitsOf(nodes);
  const unitOf = new Map(units.flatMap((unit) => unit.members.map(({ id }) => [id, unit.id] as const)));
  const areas = new Set(nodes.flatMap(({ area }) => (area === undefined ? [] : [area])));
  const withPlates = nodes.length <= mostWithPlates;
  const pairs = Map.groupBy(edges, ({ source, target }) => `${unitOf.get(source)}\n${unitOf.get(target)}`);
  const ranksep = withPlates ? 24 : 84;
  const graph = new Graph({ multigraph: true, compound: true });
  graph.setGraph({
    rankdir: 'LR',
    nodesep: 24,
    edgesep: 12,
    ranksep,
    // What stands before all others takes no room.
    marginx: areas.size > 0 ? 20 - ranksep : 20,
    marginy: 20,
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
    if (from === undefined || to === undefined || from === to) continue;
    const count = pairs.get(`${from}\n${to}`)?.length ?? 1;
    graph.setEdge(
      from,
      to,
      withPlates ? { width: plate.width, height: (plateHeight + (count > 1 ? 10 : 0)) * count, labelpos: 'c' } : {},
    );
  }
  // With boxes it is free in which layer a short chain stands: what nothing calls stands on the left, or the chain makes the graph wider.
  const called = new Set(
    edges.flatMap((edge) => (unitOf.get(edge.source) === unitOf.get(edge.target) ? [] : unitOf.get(edge.target))),
  );
  if (areas.size > 0) {
    graph.setNode(entrance, { width: 0, height: 0 });
    for (const { id } of units) if (!called.has(id)) graph.setEdge(entrance, id, { weight: 0.5 });
  }
  layout(graph);

  const drawnSize = graph.graph() as { width?: number; height?: number };
  const strip = nodes.length > mostWithPlates && (drawnSize.height ?? 0) > (drawnSize.width ?? 0);
  const placed = units.map((unit) => {
    const { x = 0, y = 0 } = graph.node(unit.id) as Partial<Point>;
    return { id: unit.id, x, y, ...sizeOf(unit) };
  });
  const folded = strip ? foldLayers(placed) : undefined;
  const middles = folded?.places ?? new Map(placed.map(({ id, x, y }) => [id, { x, y }]));

  const places: Record<string, Point> = {};
  const groups: Record<string, Box> = {};
  for (const unit of units) {
    const { x, y } = middles.get(unit.id) ?? { x: 0, y: 0 };
    const { width, height } = sizeOf(unit);
    if (unit.boxed) groups[unit.members[0]?.group ?? unit.id] = { x: x - width / 2, y: y - height / 2, width, height };
    for (const [index, { id }] of unit.members.entries())
      places[id] = unit.boxed
        ? { x, y: y - height / 2 + inBox.head + card.height / 2 + index * (card.height + inBox.gap) }
        : { x, y };
  }
  const boxes: Record<string, Box> = {};
  // A folded graph has no boxes around several layers: they would overlap.
  for (const area of folded ? [] : areas) {
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
    if (one === undefined || other === undefined) continue;
    const route = one === other || folded ? undefined : (graph.edge(one, other) as Route | undefined);
    const same = pairs.get(`${one}\n${other}`) ?? [];
    // Several edges between the same boxes have their figures below each other.
    const shift = (same.findIndex((edge) => edge.id === id) - (same.length - 1) / 2) * (plateHeight + 10);
    const line = one === other ? loop(from, to) : curve(from, to, route, withPlates ? shift : 0);
    drawn[id] = { path: line.path, label: line.label, box: boxOf(line.points) };
  }
  const { width = 0, height = 0 } = folded ?? drawnSize;
  return {
    width: Number.isFinite(width) ? width : 0,
    height: Number.isFinite(height) ? height : 0,
    nodes: places,
    groups,
    areas: boxes,
    edges: drawn,
  };
}

/** The way of an edge as the layout keeps it free, and the middle of the room for its figures. */
interface Route extends Partial<Point> {
  readonly points?: readonly Point[];
}

interface Line {
  readonly path: string;
  readonly label: Point;
  readonly points: readonly Point[];
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** A line that leaves and enters cards level, through the points that the layout kept free for it. */
function curve(from: Point, to: Point, route: Route | undefined, shift: number): Line {
  const forward = to.x >= from.x;
  const side = forward ? card.width / 2 : -card.width / 2;
  const start = { x: from.x + side, y: from.y };
  // The arrow's head needs a little room.
  const end = { x: to.x - side - (forward ? 7 : -7), y: to.y };
  const between = ({ x }: Point) => (forward ? x > start.x + 2 && x < end.x - 2 : x < start.x - 2 && x > end.x + 2);
  const middle = route?.x === undefined || route.y === undefined ? undefined : { x: route.x, y: route.y + shift };
  // The room for the figures is passed level, from its one end to the other.
  const level =
    middle && between(middle)
      ? [-0.5, 0.5].map((part) => ({ x: middle.x + (forward ? part : -part) * plate.width * 0.9, y: middle.y }))
      : [];
  const others = (route?.points ?? [])
    .slice(1, -1)
    .filter((point) => between(point) && !level.some(({ x }) => Math.abs(x - point.x) < plate.width));
  const points = [start, ...[...others, ...level].sort((a, b) => (forward ? a.x - b.x : b.x - a.x)), end];
  let path = `M${round(start.x)} ${round(start.y)}`;
  for (const [index, point] of points.entries()) {
    const before = points[index - 1];
    if (!before) continue;
    const turn = round((before.x + point.x) / 2);
    path += `C${turn} ${round(before.y)} ${turn} ${round(point.y)} ${round(point.x)} ${round(point.y)}`;
  }
  if (middle && level.length > 0) return { path, label: { x: round(middle.x), y: round(middle.y) }, points };
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
