import type { LogLine } from '../../src/api.ts';

/** What lines are shown: text or `/expression/` to contain and to leave out, classes of answers (`5`: 5xx, `0`: none), containers. */
export interface LogFilter {
  readonly contains: string;
  readonly without: string;
  readonly statuses: ReadonlySet<string>;
  readonly containers: ReadonlySet<string>;
}

/** A test for a text; `bad` when an expression between slashes cannot be read (it is then taken as text). */
export function matcher(text: string): { readonly test: (line: string) => boolean; readonly bad: boolean } {
  const wanted = text.trim();
  const plain = (line: string) => line.toLowerCase().includes(wanted.toLowerCase());
  if (wanted.length > 2 && wanted.startsWith('/') && wanted.endsWith('/')) {
    try {
      const expression = new RegExp(wanted.slice(1, -1), 'i');
      return { test: (line) => expression.test(line), bad: false };
    } catch {
      return { test: plain, bad: true };
    }
  }
  return { test: plain, bad: false };
}

export function filterLines(
  lines: readonly LogLine[],
  { contains, without, statuses, containers }: LogFilter,
): readonly LogLine[] {
  const wanted = contains.trim() === '' ? undefined : matcher(contains).test;
  const unwanted = without.trim() === '' ? undefined : matcher(without).test;
  return lines.filter(({ text, container, request, notice }) => {
    // What the console itself has to say is not filtered away.
    if (notice) return true;
    if (containers.size > 0 && !containers.has(container)) return false;
    if (statuses.size > 0 && (!request || !statuses.has(String(Math.floor(request.status / 100))))) return false;
    return (!wanted || wanted(text)) && !unwanted?.(text);
  });
}
