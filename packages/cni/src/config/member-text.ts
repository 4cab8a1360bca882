/**
 * Text of a member of a JSON object exactly as it stands there, numbers and order included, which parsing and printing it would not keep. `text` has been
 * parsed as an object before; of members of one name the last counts, as it does for JSON.parse. Undefined when there is none.
 */
export function memberText(text: string, name: string): string | undefined {
  let found: string | undefined;
  let depth = 0;
  let key: string | undefined;
  let word: readonly [start: number, end: number] = [0, 0];
  let value = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') {
      const start = at;
      for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++;
      word = [start, at + 1];
    } else if (char === '{' || char === '[') depth++;
    else if (char === ':' && depth === 1) {
      key = JSON.parse(text.slice(...word)) as string;
      value = at + 1;
    } else if ((char === ',' || char === '}') && depth === 1) {
      if (key === name) found = text.slice(value, at).trim();
      key = undefined;
    }
    if (char === '}' || char === ']') depth--;
  }
  return found;
}
