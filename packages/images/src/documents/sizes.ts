/** Sizes of an image, in bytes. */
export interface ImageSize {
  readonly name: string;
  /** `mesh`, `samples` or `addons`. */
  readonly group: string;
  readonly variant: string;
  readonly architecture: string;
  /** What a registry stores and a node fetches: all layers compressed. */
  readonly compressed: number;
  /** What a node has on its disk. */
  readonly unpacked: number;
  readonly layers: number;
  readonly digest: string;
  /** Layers that no image of another name has, compressed. */
  readonly own: number;
}

/** A size for people to read. */
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** The sizes as a table. */
export function sizeTable(sizes: readonly ImageSize[]): string {
  const rows = [
    ['IMAGE', 'VARIANT', 'PLATFORM', 'DOWNLOAD', 'ITS OWN', 'UNPACKED', 'LAYERS', 'DIGEST'],
    ...sizes.map((size) => [
      size.name,
      size.variant,
      `linux/${size.architecture}`,
      megabytes(size.compressed),
      megabytes(size.own),
      megabytes(size.unpacked),
      String(size.layers),
      size.digest.slice(0, 19),
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
    .concat('\n');
}
