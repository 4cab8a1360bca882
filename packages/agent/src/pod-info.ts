/** Thrown when a file of the downward API is not in its form. */
export class PodInfoError extends Error {
  constructor(line: number, message: string) {
    super(`pod information, line ${line}: ${message}`);
    this.name = 'PodInfoError';
  }
}

/** Labels or annotations as the downward API writes them into a file: one `key="value"` per line, the value quoted as in Go. */
export function parsePodInfo(text: string): Readonly<Record<string, string>> {
  const out: Record<string, string> = {};
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    const equals = line.indexOf('=');
    if (equals <= 0) throw new PodInfoError(index + 1, 'expected key="value"');
    out[line.slice(0, equals)] = unquote(line.slice(equals + 1), index + 1);
  });
  return out;
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

function unquote(text: string, line: number): string {
  if (!text.startsWith('"')) return text;
  if (!text.endsWith('"') || text.length < 2) throw new PodInfoError(line, 'the closing quote is missing');
  return text
    .slice(1, -1)
    .replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)/gs, (whole, code: string) => {
      const plain = ESCAPES[code];
      if (plain !== undefined) return plain;
      const point =
        code.startsWith('x') || code.startsWith('u') || code.startsWith('U')
          ? Number.parseInt(code.slice(1), 16)
          : Number.parseInt(code, 8);
      return Number.isInteger(point) && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
    });
}
