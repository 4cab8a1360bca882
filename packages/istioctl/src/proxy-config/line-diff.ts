/** One line of a comparison: in both, only in the first, or only in the second text. */
export interface DiffLine {
  readonly sign: ' ' | '-' | '+';
  readonly text: string;
}

/** More pairs of lines than this are not searched for the shortest difference: the whole middle counts as replaced. */
const maxPairs = 4_000_000;

/** Compares two texts line by line (longest common subsequence between the common beginning and end). */
export function diffLines(before: readonly string[], after: readonly string[]): readonly DiffLine[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  const limit = Math.min(before.length, after.length) - start;
  while (end < limit && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  const same = (lines: readonly string[]): DiffLine[] => lines.map((text) => ({ sign: ' ', text }));
  return [
    ...same(before.slice(0, start)),
    ...middle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...same(before.slice(before.length - end)),
  ];
}

function middle(before: readonly string[], after: readonly string[]): readonly DiffLine[] {
  const [n, m] = [before.length, after.length];
  const gone = (lines: readonly string[]): DiffLine[] => lines.map((text) => ({ sign: '-', text }));
  const come = (lines: readonly string[]): DiffLine[] => lines.map((text) => ({ sign: '+', text }));
  if (n === 0 || m === 0 || n * m > maxPairs) return [...gone(before), ...come(after)];
  // common[i][j]: length of the longest common subsequence of what follows line i and line j.
  const width = m + 1;
  const common = new Uint32Array((n + 1) * width);
  const cell = (i: number, j: number) => common[i * width + j] ?? 0;
  for (let i = n - 1; i >= 0; i--)
    for (let j = m - 1; j >= 0; j--)
      common[i * width + j] =
        before[i] === after[j] ? cell(i + 1, j + 1) + 1 : Math.max(cell(i + 1, j), cell(i, j + 1));
  const result: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < n && j < m) {
    if (before[i] === after[j]) {
      result.push({ sign: ' ', text: before[i] ?? '' });
      i++;
      j++;
    } else if (cell(i + 1, j) >= cell(i, j + 1)) result.push({ sign: '-', text: before[i++] ?? '' });
    else result.push({ sign: '+', text: after[j++] ?? '' });
  }
  return [...result, ...gone(before.slice(i)), ...come(after.slice(j))];
}

/** The differing places with `context` lines around each, in the unified format (without the names of the files). Empty when nothing differs. */
export function unifiedHunks(lines: readonly DiffLine[], context = 3): string {
  const wanted = new Set<number>();
  for (const [index, { sign }] of lines.entries())
    if (sign !== ' ') for (let at = index - context; at <= index + context; at++) wanted.add(at);
  let [old, now] = [1, 1];
  let hunk: { readonly old: number; readonly now: number; readonly lines: DiffLine[] } | undefined;
  const hunks: NonNullable<typeof hunk>[] = [];
  for (const [index, line] of lines.entries()) {
    if (wanted.has(index)) {
      if (!hunk) {
        hunk = { old, now, lines: [] };
        hunks.push(hunk);
      }
      hunk.lines.push(line);
    } else hunk = undefined;
    if (line.sign !== '+') old++;
    if (line.sign !== '-') now++;
  }
  return hunks
    .map((part) => {
      const count = (sign: string) => part.lines.filter((line) => line.sign !== sign).length;
      const head = `@@ -${part.old},${count('+')} +${part.now},${count('-')} @@`;
      return `${[head, ...part.lines.map(({ sign, text }) => `${sign}${text}`)].join('\n')}\n`;
    })
    .join('');
}
