const texts = new Intl.Collator('en', { numeric: true });

/** Rows in the order of a column; equal ones stay as they were. */
export function sorted<T>(
  rows: readonly T[],
  by: ((row: T) => string | number) | undefined,
  descending: boolean,
): readonly T[] {
  if (!by) return rows;
  const sign = descending ? -1 : 1;
  return [...rows].sort((left, right) => {
    const a = by(left);
    const b = by(right);
    return sign * (typeof a === 'number' && typeof b === 'number' ? a - b : texts.compare(String(a), String(b)));
  });
}

/** The next order when a column's header is pressed: numbers begin with the largest, texts with the first; the third press ends the order. */
export function toggled(order: string, column: string, numbers: boolean): string {
  const first = numbers ? `-${column}` : column;
  const second = numbers ? column : `-${column}`;
  return order === first ? second : order === second ? '' : first;
}
