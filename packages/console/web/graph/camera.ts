import type { Box, Layout, Point } from './layout.ts';

/** What part of the graph is shown: a point of the graph is drawn at `point * k + (x, y)`. */
export interface Camera extends Point {
  readonly k: number;
}

export const zoomLimits = { least: 0.06, most: 2.5 } as const;

const within = (k: number) => Math.min(Math.max(k, zoomLimits.least), zoomLimits.most);

/** Everything in the middle; small graphs are not blown up. `top`, `right` and `left` are pixels that something lies over. */
export function fitting(
  layout: Pick<Layout, 'width' | 'height'>,
  width: number,
  height: number,
  { top = 0, right = 0, left = 0 } = {},
): Camera {
  const free = { width: Math.max(width - left - right, 100), height: Math.max(height - top, 100) };
  const k = within(Math.min(free.width / Math.max(layout.width, 1), free.height / Math.max(layout.height, 1), 1.1));
  return { k, x: left + (free.width - layout.width * k) / 2, y: top + (free.height - layout.height * k) / 2 };
}

/** Zooms so that the point of the screen stays where it is. */
export function zoomed(camera: Camera, factor: number, at: Point): Camera {
  const k = within(camera.k * factor);
  const ratio = k / camera.k;
  return { k, x: at.x - (at.x - camera.x) * ratio, y: at.y - (at.y - camera.y) * ratio };
}

/** Where a node or the middle of an edge is. */
export const placeOf = (layout: Pick<Layout, 'nodes' | 'edges'>, id: string): Point | undefined =>
  layout.nodes[id] ?? layout.edges[id]?.label;

/** Moves as little as needed to show a card at a point of the graph. */
export function showing(camera: Camera, point: Point, width: number, height: number, margin = 110): Camera {
  const x = point.x * camera.k + camera.x;
  const y = point.y * camera.k + camera.y;
  const dx = x < margin ? margin - x : x > width - margin ? width - margin - x : 0;
  const dy = y < margin / 2 ? margin / 2 - y : y > height - margin / 2 ? height - margin / 2 - y : 0;
  return dx === 0 && dy === 0 ? camera : { ...camera, x: camera.x + dx, y: camera.y + dy };
}

/** The part of the graph on the screen with half a screen around it, in steps: it changes seldom while the view is dragged. */
export function region(camera: Camera, width: number, height: number): Box {
  const step = Math.max(width, height) / camera.k / 4;
  const left = -camera.x / camera.k - (width / camera.k) * 0.25;
  const top = -camera.y / camera.k - (height / camera.k) * 0.25;
  const x = Math.floor(left / step) * step;
  const y = Math.floor(top / step) * step;
  return {
    x,
    y,
    width: Math.ceil(((width / camera.k) * 1.5) / step + 1) * step,
    height: Math.ceil(((height / camera.k) * 1.5) / step + 1) * step,
  };
}

export const touches = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** From so many nodes on, small names are not worth their elements. */
const manyNodes = 150;

/** How much of a card can be read: shapes only, names, everything. */
export type Detail = 'shape' | 'name' | 'full';
export const detailAt = (k: number, nodes: number): Detail =>
  k < (nodes > manyNodes ? 0.3 : 0.24) ? 'shape' : k < 0.46 ? 'name' : 'full';

/**
 * The node nearest in a direction, for the arrow keys: those that `linked` holds before all others, what lies straight ahead before what lies beside.
 */
export function neighbour(
  layout: Layout,
  from: string,
  direction: 'left' | 'right' | 'up' | 'down',
  linked: ReadonlySet<string> = new Set(),
): string | undefined {
  const start = layout.nodes[from];
  if (!start) return undefined;
  let best: { id: string; cost: number } | undefined;
  for (const [id, point] of Object.entries(layout.nodes)) {
    if (id === from) continue;
    const dx = point.x - start.x;
    const dy = point.y - start.y;
    const ahead = direction === 'right' ? dx : direction === 'left' ? -dx : direction === 'down' ? dy : -dy;
    const beside = direction === 'left' || direction === 'right' ? Math.abs(dy) : Math.abs(dx);
    if (ahead <= 1) continue;
    const cost = (ahead + beside * 2) * (linked.has(id) ? 0.001 : 1);
    if (!best || cost < best.cost) best = { id, cost };
  }
  return best?.id;
}
