import { lineOf } from './lex.ts';
import type { Located } from './nodes.ts';

/** Places that were counted before. */
const PLACES = new WeakMap<Located['source'], Map<number, { readonly line: number; readonly column: number }>>();

/** Line, and column in bytes, of a node in its source; both begin as Go's messages have them. */
export function place(at: Located): { readonly line: number; readonly column: number } {
  const known = PLACES.get(at.source) ?? new Map();
  PLACES.set(at.source, known);
  let found = known.get(at.pos);
  if (found === undefined) {
    const lineStart = at.source.text.lastIndexOf('\n', at.pos - 1);
    // Go counts bytes.
    const column = Buffer.byteLength(
      at.source.text.slice(lineStart === -1 || at.pos === 0 ? 0 : lineStart + 1, at.pos),
    );
    found = { line: lineOf(at.source.text, at.pos), column };
    known.set(at.pos, found);
  }
  return found;
}
