/** A line of a comparison of two texts. */
export interface DiffLine {
  readonly kind: 'same' | 'added' | 'removed';
  readonly text: string;
  /** From 1; undefined on the side that does not have the line. */
  readonly before?: number;
  readonly after?: number;
}

/** Compares two texts line by line by their longest common subsequence. Meant for configuration: some thousand lines at most. */
export function diffLines(before: string, after: string): readonly DiffLine[] {
  const old = before.replace(/\n$/, '').split('\n');
  const now = after.replace(/\n$/, '').split('\n');
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (
    end < old.length - start &&
    end < now.length - start &&
    old[old.length - 1 - end] === now[now.length - 1 - end]
  )
    end += 1;
  const rows = old.length - start - end;
  const columns = now.length - start - end;
  // lengths[i][j]: the longest common subsequence of the rest from old line i and new line j on.
  const lengths = Array.from({ length: rows + 1 }, () => new Uint16Array(columns + 1));
  const length = (i: number, j: number) => lengths[i]?.[j] ?? 0;
  for (let i = rows - 1; i >= 0; i -= 1) {
    const row = lengths[i];
    if (!row) continue;
    for (let j = columns - 1; j >= 0; j -= 1)
      row[j] =
        old[start + i] === now[start + j] ? length(i + 1, j + 1) + 1 : Math.max(length(i + 1, j), length(i, j + 1));
  }
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  const same = () => {
    lines.push({ kind: 'same', text: old[i] ?? '', before: i + 1, after: j + 1 });
    i += 1;
    j += 1;
  };
  while (i < start) same();
  while (i < start + rows || j < start + columns) {
    const row = i - start;
    const column = j - start;
    if (row < rows && column < columns && old[i] === now[j]) same();
    else if (row < rows && (column >= columns || length(row + 1, column) >= length(row, column + 1))) {
      lines.push({ kind: 'removed', text: old[i] ?? '', before: i + 1 });
      i += 1;
    } else {
      lines.push({ kind: 'added', text: now[j] ?? '', after: j + 1 });
      j += 1;
    }
  }
  while (i < old.length && j < now.length) same();
  return lines;
}

/** The changed lines with `context` lines around them; undefined stands for what was left out. */
export function hunks(lines: readonly DiffLine[], context = 3): readonly (DiffLine | undefined)[] {
  const keep = lines.map((_, index) =>
    lines.slice(Math.max(0, index - context), index + context + 1).some(({ kind }) => kind !== 'same'),
  );
  const shown: (DiffLine | undefined)[] = [];
  for (const [index, line] of lines.entries()) {
    if (keep[index]) shown.push(line);
    else if (shown.at(-1) !== undefined || shown.length === 0) shown.push(undefined);
  }
  return shown;
}
