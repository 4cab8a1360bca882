const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Whether objects and lists of a JSON text lie more than `limit` levels within one another. A look at the bytes, before anything is made of them:
 * text that is nothing but brackets costs a hundred times its size when it is parsed, and whoever walks through the result runs out of stack.
 */
export function nestsDeeper(json: Buffer, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (inString) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) inString = false;
      continue;
    }
    if (byte === QUOTE) inString = true;
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > limit) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return false;
}
