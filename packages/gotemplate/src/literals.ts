import { Float, type GoValue } from './value.ts';

/** A literal that Go does not read; the message says why, without the place. */
export class LiteralError extends Error {}

/** A number by Go's rules (language specification, "Integer literals", "Floating-point literals"). Raises LiteralError. */
export function numberOf(literal: string): GoValue {
  const text = literal.replaceAll('_', '');
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = text.replace(/^[+-]/, '');
  if (/^0[xXbBoO]/.test(digits)) return sign * Number(digits);
  if (/^0[0-7]+$/.test(digits)) return sign * Number.parseInt(digits, 8);
  const value = Number(digits);
  if (/^0[0-9]+$/.test(digits)) throw new LiteralError(`bad number syntax: ${JSON.stringify(literal)}`);
  if (Number.isNaN(value)) throw new LiteralError(`bad number syntax: ${JSON.stringify(literal)}`);
  if (/[.eE]/.test(digits)) return Number.isInteger(value) ? new Float(sign * value) : sign * value;
  return sign * value;
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
};

/** The text in quotes, with what its escapes stand for. Raises LiteralError. */
export function unquoted(quoted: string): string {
  if (quoted.startsWith('`')) return quoted.slice(1, -1);
  let out = '';
  const body = quoted.slice(1, -1);
  for (let i = 0; i < body.length; i++) {
    if (body[i] !== '\\') {
      out += body[i];
      continue;
    }
    const rest = body.slice(i + 1);
    const simple = ESCAPES[rest[0] ?? ''];
    const coded = /^(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))/.exec(rest);
    if (simple !== undefined) {
      out += simple;
      i++;
    } else if (coded !== null) {
      const code =
        coded[4] !== undefined
          ? Number.parseInt(coded[4], 8)
          : Number.parseInt(coded[1] ?? coded[2] ?? coded[3] ?? '0', 16);
      if (code > 0x10ffff) throw new LiteralError('invalid syntax in string');
      out += String.fromCodePoint(code);
      i += coded[0].length;
    } else throw new LiteralError('invalid syntax');
  }
  return out;
}

/** The number of the character in single quotes. Raises LiteralError. */
export function characterOf(literal: string): number {
  if (!/^'(?:[^\\]|\\(?:.|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}))'$/u.test(literal))
    throw new LiteralError(`malformed character constant: ${literal}`);
  const text = unquoted(`"${literal.slice(1, -1).replaceAll('"', '\\"').replaceAll("\\'", "'")}"`);
  return text.codePointAt(0) ?? 0;
}
