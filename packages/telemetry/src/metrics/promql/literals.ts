import { QueryError } from './errors.ts';

const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
  y: 365 * 86_400_000,
};
const duration = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;
const order = ['y', 'w', 'd', 'h', 'm', 's', 'ms'] as const;

/** Milliseconds of a duration as Prometheus writes it (`1h30m`); undefined where it is none. */
export function durationMs(text: string): number | undefined {
  if (text === '0') return 0;
  const found = duration.exec(text);
  if (!found || text === '') return undefined;
  return order.reduce((sum, unit, index) => sum + Number(found[index + 1] ?? 0) * (units[unit] ?? 0), 0);
}

/** A number, or a duration as seconds. Raises QueryError. */
export function numberValue(text: string, offset: number): number {
  const sign = /^\s*-/.test(text) ? -1 : 1;
  const plain = text.replace(/^\s*[-+]\s*/, '').trim();
  if (/^inf$/i.test(plain)) return sign * Number.POSITIVE_INFINITY;
  if (/^nan$/i.test(plain)) return Number.NaN;
  const digits = plain.replaceAll('_', '');
  const octal = /^0[0-7]+$/.test(digits);
  const value = octal ? Number.parseInt(digits, 8) : Number(digits);
  if (digits !== '' && !Number.isNaN(value)) return sign * value;
  const ms = durationMs(plain);
  if (ms !== undefined) return (sign * ms) / 1000;
  throw new QueryError(`bad number or duration syntax: ${JSON.stringify(plain)}`, offset);
}

const escapes: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
};

/** A string between its quotes, with the escapes of Go. Raises QueryError. */
export function stringValue(text: string, offset: number): string {
  const quote = text[0] ?? '';
  if (text.length < 2 || text.at(-1) !== quote) throw new QueryError('unterminated quoted string', offset);
  const inner = text.slice(1, -1);
  if (quote === '`') return inner;
  let raw: number[] = [];
  let result = '';
  const flush = (): void => {
    if (raw.length > 0) result += Buffer.from(raw).toString('utf8');
    raw = [];
  };
  const piece = /\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([\s\S]))|[^\\]+/g;
  for (const [whole, hex, octal, short, long, sign] of inner.matchAll(piece)) {
    if (hex !== undefined) raw.push(Number.parseInt(hex, 16));
    else if (octal !== undefined) raw.push(Number.parseInt(octal, 8));
    else {
      flush();
      const point = short ?? long;
      if (point !== undefined) {
        const code = Number.parseInt(point, 16);
        if (code > 0x10ffff) throw new QueryError('unknown escape sequence in string', offset);
        result += String.fromCodePoint(code);
      } else if (sign !== undefined) {
        const plain = escapes[sign];
        if (plain === undefined || ((sign === '"' || sign === "'") && sign !== quote))
          throw new QueryError(`unknown escape sequence \\${sign} in string`, offset);
        result += plain;
      } else result += whole;
    }
  }
  flush();
  if (inner.includes('\n')) throw new QueryError('a string in quotes does not go over lines', offset);
  return result;
}
