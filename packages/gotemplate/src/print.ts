import { type GoMap, type GoObject, type GoValue, kindOf, numberOf, sortedKeys, typeName } from './value.ts';

/** Go's `%g` with the shortest representation that reads back as the same float64. */
export function formatFloat(value: number, upper = false): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const [mantissa = '0', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  // With the shortest representation the exponent form starts at 1e+06.
  if (exponent < -4 || exponent >= 6) return goExponent(mantissa, exponent, upper ? 'E' : 'e');
  return String(value);
}

function goExponent(mantissa: string, exponent: number, letter: string): string {
  const sign = exponent < 0 ? '-' : '+';
  return `${mantissa}${letter}${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

/** A string in double quotes with Go's escapes (strconv.Quote). */
export function quote(text: string): string {
  let out = '"';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if (char === '"' || char === '\\') out += `\\${char}`;
    else if (code === 7) out += '\\a';
    else if (code === 8) out += '\\b';
    else if (code === 9) out += '\\t';
    else if (code === 10) out += '\\n';
    else if (code === 11) out += '\\v';
    else if (code === 12) out += '\\f';
    else if (code === 13) out += '\\r';
    else if (code < 32 || code === 127) out += `\\x${code.toString(16).padStart(2, '0')}`;
    else if (isPrintable(char, code)) out += char;
    else if (code > 0xffff) out += `\\U${code.toString(16).padStart(8, '0')}`;
    else out += `\\u${code.toString(16).padStart(4, '0')}`;
  }
  return `${out}"`;
}

function isPrintable(char: string, code: number): boolean {
  if (code < 127) return true;
  return /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char);
}

/** Go's `%v`. */
export function print(value: GoValue, nested = false): string {
  const kind = kindOf(value);
  switch (kind) {
    case 'invalid':
    case 'nil':
      return '<nil>';
    case 'bool':
      return value === true ? 'true' : 'false';
    case 'string':
      return value as string;
    case 'int':
      return typeof value === 'number' ? BigInt(value).toString() : String(value);
    case 'float':
      return formatFloat(numberOf(value) ?? 0);
    case 'slice':
      return `[${(value as readonly GoValue[]).map((item) => print(item, true)).join(' ')}]`;
    case 'map': {
      const map = value as GoMap;
      return `map[${sortedKeys(map)
        .map((key) => `${key}:${print(map[key], true)}`)
        .join(' ')}]`;
    }
    case 'object': {
      const object = value as GoObject;
      if (object.text !== undefined) return object.text;
      return `${nested ? '' : '&'}{${Object.values(object.fields)
        .map((item) => print(item, true))
        .join(' ')}}`;
    }
    case 'func':
      return '<func>';
  }
}

function printGoSyntax(value: GoValue): string {
  const kind = kindOf(value);
  switch (kind) {
    case 'string':
      return quote(value as string);
    case 'slice':
      return `[]interface {}{${(value as readonly GoValue[]).map(printGoSyntax).join(', ')}}`;
    case 'map': {
      const map = value as GoMap;
      return `map[string]interface {}{${sortedKeys(map)
        .map((key) => `${quote(key)}:${printGoSyntax(map[key])}`)
        .join(', ')}}`;
    }
    case 'invalid':
    case 'nil':
      return 'interface {}(nil)';
    default:
      return print(value);
  }
}

/** fmt.Sprint: operands separated by a space where neither neighbour is a string. */
export function sprint(args: readonly GoValue[]): string {
  let out = '';
  args.forEach((arg, i) => {
    if (i > 0 && typeof arg !== 'string' && typeof args[i - 1] !== 'string') out += ' ';
    out += print(arg);
  });
  return out;
}

interface Flags {
  minus: boolean;
  plus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  width: number | undefined;
  precision: number | undefined;
}

/** Widths and precisions beyond this are refused, as in Go, so that a template cannot ask for gigabytes. */
const MAX_WIDTH = 1_000_000;

/** fmt.Sprintf. Mistakes print as Go prints them: `%!d(string=hi)`, `%!s(MISSING)`, `%!(EXTRA int=1)`. */
export function sprintf(format: string, args: readonly GoValue[]): string {
  let out = '';
  let next = 0;
  let reordered = false;
  const chars = Array.from(format);
  for (let i = 0; i < chars.length; ) {
    const char = chars[i] ?? '';
    if (char !== '%') {
      out += char;
      i++;
      continue;
    }
    i++;
    const flags: Flags = {
      minus: false,
      plus: false,
      sharp: false,
      space: false,
      zero: false,
      width: undefined,
      precision: undefined,
    };
    for (; i < chars.length && '-+# 0'.includes(chars[i] ?? '?'); i++) {
      if (chars[i] === '-') flags.minus = true;
      else if (chars[i] === '+') flags.plus = true;
      else if (chars[i] === '#') flags.sharp = true;
      else if (chars[i] === ' ') flags.space = true;
      else flags.zero = true;
    }
    const number = (): number | undefined => {
      let text = '';
      for (; i < chars.length && /\d/.test(chars[i] ?? ''); i++) text += chars[i];
      if (text === '') return undefined;
      return Math.min(Number(text), MAX_WIDTH);
    };
    const argumentIndex = (): void => {
      const match = /^\[(\d+)\]/.exec(chars.slice(i, i + 10).join(''));
      if (match === null) return;
      next = Number(match[1]) - 1;
      reordered = true;
      i += match[0].length;
    };
    const star = (): number | undefined => {
      i++;
      const value = numberOf(args[next++]);
      if (value === undefined) out += '%!(BADWIDTH)';
      return value === undefined ? undefined : Math.max(-MAX_WIDTH, Math.min(value, MAX_WIDTH));
    };
    argumentIndex();
    if (chars[i] === '*') {
      flags.width = star();
      if (flags.width !== undefined && flags.width < 0) {
        flags.minus = true;
        flags.width = -flags.width;
      }
    } else flags.width = number();
    if (chars[i] === '.') {
      i++;
      argumentIndex();
      flags.precision = chars[i] === '*' ? star() : (number() ?? 0);
    }
    argumentIndex();
    const verb = chars[i++];
    if (verb === undefined) {
      out += '%!(NOVERB)';
      break;
    }
    if (verb === '%') {
      out += '%';
      continue;
    }
    if (next >= args.length || next < 0) {
      out += `%!${verb}(${reordered ? 'BADINDEX' : 'MISSING'})`;
      continue;
    }
    out += formatVerb(verb, args[next++], flags);
  }
  if (!reordered && next < args.length) {
    out += `%!(EXTRA ${args
      .slice(next)
      .map((arg) => (arg === null || arg === undefined ? '<nil>' : `${typeName(arg)}=${print(arg)}`))
      .join(', ')})`;
  }
  return out;
}

function pad(text: string, flags: Flags, numeric: boolean): string {
  const missing = (flags.width ?? 0) - Array.from(text).length;
  if (missing <= 0) return text;
  if (flags.minus) return text + ' '.repeat(missing);
  if (flags.zero && numeric) {
    const sign = /^[+-]/.test(text) ? text[0] : '';
    return `${sign}${'0'.repeat(missing)}${text.slice(sign === '' ? 0 : 1)}`;
  }
  return (flags.zero && !numeric ? '0' : ' ').repeat(missing) + text;
}

function formatVerb(verb: string, value: GoValue, flags: Flags): string {
  const kind = kindOf(value);
  const bad = () =>
    kind === 'nil' || kind === 'invalid' ? `%!${verb}(<nil>)` : `%!${verb}(${typeName(value)}=${print(value)})`;
  if (verb === 'T') return pad(typeName(value), flags, false);
  if (verb === 'v') {
    if (flags.sharp) return pad(printGoSyntax(value), flags, false);
    if (kind === 'int' || kind === 'float') return pad(signed(print(value), flags), flags, true);
    return pad(print(value), flags, false);
  }
  if (kind === 'nil' || kind === 'invalid') return bad();
  if (kind === 'slice')
    return `[${(value as readonly GoValue[]).map((item) => formatVerb(verb, item, flags)).join(' ')}]`;
  if (kind === 'map') {
    const map = value as GoMap;
    return `map[${sortedKeys(map)
      .map((key) => `${formatVerb(verb, key, flags)}:${formatVerb(verb, map[key], flags)}`)
      .join(' ')}]`;
  }
  if (kind === 'string' || (kind === 'object' && (value as GoObject).text !== undefined)) {
    const all = kind === 'string' ? (value as string) : ((value as GoObject).text ?? '');
    const text = flags.precision === undefined ? all : Array.from(all).slice(0, flags.precision).join('');
    switch (verb) {
      case 's':
        return pad(text, flags, false);
      case 'q':
        return pad(flags.sharp && !text.includes('`') ? `\`${text}\`` : quote(text), flags, false);
      case 'x':
      case 'X': {
        const hex = Buffer.from(all, 'utf8').toString('hex');
        return pad(verb === 'X' ? hex.toUpperCase() : hex, flags, false);
      }
      default:
        return bad();
    }
  }
  if (kind === 'bool') return verb === 't' ? pad(print(value), flags, false) : bad();
  if (kind === 'int') return formatInt(verb, Number(value), flags) ?? bad();
  if (kind === 'float') return formatFloatVerb(verb, numberOf(value) ?? 0, flags) ?? bad();
  return bad();
}

function signed(text: string, flags: Flags): string {
  if (text.startsWith('-')) return text;
  return flags.plus && !text.startsWith('+') ? `+${text}` : flags.space ? ` ${text}` : text;
}

function formatInt(verb: string, value: number, flags: Flags): string | undefined {
  const radix = { d: 10, b: 2, o: 8, O: 8, x: 16, X: 16 }[verb];
  if (radix !== undefined) {
    let digits = BigInt(Math.abs(value)).toString(radix);
    if (verb === 'X') digits = digits.toUpperCase();
    if (flags.precision !== undefined) digits = digits.padStart(flags.precision, '0');
    if (verb === 'O') digits = `0o${digits}`;
    else if (flags.sharp) digits = { 2: '0b', 8: '0', 10: '', 16: verb === 'X' ? '0X' : '0x' }[radix] + digits;
    return pad(signed(value < 0 ? `-${digits}` : digits, flags), flags, flags.precision === undefined);
  }
  switch (verb) {
    case 'c':
      return pad(String.fromCodePoint(value >= 0 && value <= 0x10ffff ? value : 0xfffd), flags, false);
    case 'q':
      return pad(
        `'${value === 39 ? "\\'" : quote(String.fromCodePoint(value >= 0 && value <= 0x10ffff ? value : 0xfffd)).slice(1, -1)}'`,
        flags,
        false,
      );
    case 'U':
      return pad(`U+${value.toString(16).toUpperCase().padStart(4, '0')}`, flags, false);
    default:
      return undefined;
  }
}

function formatFloatVerb(verb: string, value: number, flags: Flags): string | undefined {
  const precision = Math.min(flags.precision ?? 6, 100);
  switch (verb) {
    case 'f':
    case 'F':
      return pad(
        signed(
          Math.abs(value) < 1e21
            ? value.toFixed(precision)
            : BigInt(value).toString() + (precision > 0 ? `.${'0'.repeat(precision)}` : ''),
          flags,
        ),
        flags,
        true,
      );
    case 'e':
    case 'E': {
      const [mantissa = '0', exponent = '0'] = value.toExponential(precision).split('e');
      return pad(signed(goExponent(mantissa, Number(exponent), verb), flags), flags, true);
    }
    case 'g':
    case 'G':
      if (flags.precision === undefined) return pad(signed(formatFloat(value, verb === 'G'), flags), flags, true);
      return pad(
        signed(formatFloat(Number(value.toPrecision(Math.max(1, Math.min(precision, 100)))), verb === 'G'), flags),
        flags,
        true,
      );
    default:
      return undefined;
  }
}
