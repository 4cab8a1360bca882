import type { Point } from './layout.ts';

/** A unit of the layout with its size; `x` is the middle of its layer. */
export interface Placed extends Point {
  readonly id: string;
  readonly width: number;
  readonly height: number;
}

const gap = { row: 22, column: 26, layer: 110 } as const;
/** Width by height that a screen has. */
const wanted = 1.7;

interface Column {
  readonly units: readonly Placed[];
  readonly width: number;
  readonly height: number;
}

/** One layer as columns that are not higher than `limit`, in the order that the layout found. */
function columnsOf(layer: readonly Placed[], limit: number): readonly Column[] {
  const columns: { units: Placed[]; width: number; height: number }[] = [];
  for (const unit of layer) {
    const last = columns.at(-1);
    if (last && last.height + gap.row + unit.height <= limit) {
      last.units.push(unit);
      last.width = Math.max(last.width, unit.width);
      last.height += gap.row + unit.height;
    } else columns.push({ units: [unit], width: unit.width, height: unit.height });
  }
  return columns;
}

/**
 * Layers of many nodes as several columns, so that the whole fits a screen instead of being a strip: the middles of the units by their id, and the
 * size of the whole.
 */
export function foldLayers(units: readonly Placed[]): {
  readonly places: ReadonlyMap<string, Point>;
  readonly width: number;
  readonly height: number;
} {
  const layers = [...Map.groupBy(units, ({ x }) => Math.round(x / 20))]
    .sort(([a], [b]) => a - b)
    .map(([, layer]) => [...layer].sort((a, b) => a.y - b.y));
  const widthOf = (columns: readonly (readonly Column[])[]) =>
    columns.reduce(
      (sum, layer) => sum + layer.reduce((width, column) => width + column.width + gap.column, -gap.column) + gap.layer,
      -gap.layer,
    );
  const highest = Math.max(...layers.map((layer) => layer.reduce((sum, { height }) => sum + height + gap.row, 0)));
  let limit = highest;
  let folded = layers.map((layer) => columnsOf(layer, limit));
  while (limit > 200 && widthOf(folded) < wanted * limit) {
    limit *= 0.92;
    folded = layers.map((layer) => columnsOf(layer, limit));
  }
  const height = Math.max(...folded.flat().map((column) => column.height));
  const places = new Map<string, Point>();
  let x = 20;
  for (const layer of folded) {
    for (const column of layer) {
      let y = 20 + (height - column.height) / 2;
      for (const unit of column.units) {
        places.set(unit.id, { x: x + column.width / 2, y: y + unit.height / 2 });
        y += unit.height + gap.row;
      }
      x += column.width + gap.column;
    }
    x += gap.layer - gap.column;
  }
  return { places, width: x - gap.layer + 20, height: height + 40 };
}
