import { createHash } from 'node:crypto';
import { RE2JS } from 're2js';
import { toText, toTexts } from './convert.ts';
import { FunctionError } from './errors.ts';
import { type FunctionTable, fn, variadic } from './functions.ts';
import { quote } from './print.ts';
import { compareStrings, type GoValue } from './value.ts';

/** Longest text one function call may make, in UTF-16 units. */
const MAX_RESULT = 16 * 1024 * 1024;

export function repeat(text: string, count: number): string {
  if (count < 0) throw new FunctionError('strings: negative Repeat count');
  if (text.length * count > MAX_RESULT) throw new FunctionError(`result would be longer than ${MAX_RESULT} characters`);
  return text.repeat(count);
}

function indent(spaces: number, text: string): string {
  const pad = repeat(' ', Math.max(0, spaces));
  if (text.split('\n').length * pad.length > MAX_RESULT)
    throw new FunctionError(`result would be longer than ${MAX_RESULT} characters`);
  return pad + text.replaceAll('\n', `\n${pad}`);
}

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');
const hash = (algorithm: string) => fn(['string'], (text) => createHash(algorithm).update(text, 'utf8').digest('hex'));

function adler32(text: string): string {
  let a = 1;
  let b = 0;
  for (const byte of bytes(text)) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return String(b * 65536 + a);
}

function base32(text: string): string {
  let bits = '';
  for (const byte of bytes(text)) bits += byte.toString(2).padStart(8, '0');
  const out = (bits.match(/.{1,5}/g) ?? [])
    .map((chunk) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(chunk.padEnd(5, '0'), 2)])
    .join('');
  return out.padEnd(Math.ceil(out.length / 8) * 8, '=');
}

function unbase32(text: string): string {
  if (!/^[A-Z2-7]*=*$/.test(text) || text.length % 8 !== 0) return 'illegal base32 data at input byte 0';
  const bits = [...text.replaceAll('=', '')]
    .map((char) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(char).toString(2).padStart(5, '0'))
    .join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2))).toString('utf8');
}

const isUpper = (char: string): boolean => char !== char.toLowerCase();
const isLower = (char: string): boolean => char !== char.toUpperCase();

/** Cuts a name into words at separators, at the start of capitals before the last capital of a run ("HTTPServer" is "HTTP", "Server"), and before digits that small letters follow ("Http20x" is "Http", "20x"). */
function words(text: string): string[] {
  return text
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .replace(/([A-Za-z])([0-9]+(?=[a-z]))/g, '$1 $2')
    .replace(/([0-9])([A-Z])/g, '$1 $2')
    .split(/[ _.-]+/)
    .filter((word) => word !== '');
}

/** A character that has no capital of one character stays. */
function upperRune(char: string): string {
  const upper = char.toUpperCase();
  return Array.from(upper).length === 1 ? upper : char;
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1);
}

function wrap(text: string, width: number, separator: string, breakLong: boolean): string {
  const size = Math.max(1, width);
  const lines: string[] = [];
  let rest = text;
  while (rest.length > size) {
    if (rest[0] === ' ') {
      rest = rest.slice(1);
      continue;
    }
    const space = rest.lastIndexOf(' ', size);
    if (space > 0) {
      lines.push(rest.slice(0, space));
      rest = rest.slice(space + 1);
    } else if (breakLong) {
      lines.push(rest.slice(0, size));
      rest = rest.slice(size);
    } else {
      const next = rest.indexOf(' ', size);
      if (next === -1) break;
      lines.push(rest.slice(0, next));
      rest = rest.slice(next + 1);
    }
  }
  return [...lines, rest].join(separator);
}

function truncate(count: number, text: string): string {
  const data = bytes(text);
  if (count < 0 && data.length + count > 0) return data.subarray(data.length + count).toString('utf8');
  if (count >= 0 && data.length > count) return data.subarray(0, count).toString('utf8');
  return text;
}

function trimChars(text: string, chars: string): string {
  const set = new Set(Array.from(chars));
  const list = Array.from(text);
  let from = 0;
  let to = list.length;
  while (from < to && set.has(list[from] ?? '')) from++;
  while (to > from && set.has(list[to - 1] ?? '')) to--;
  return list.slice(from, to).join('');
}

function compile(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new FunctionError(message.startsWith('error parsing') ? message : `error parsing regexp: ${message}`);
  }
}

interface Match {
  readonly start: number;
  readonly end: number;
  readonly groups: readonly (string | null)[];
}

function matches(pattern: string, text: string, limit: number): Match[] {
  const matcher = compile(pattern).matcher(text);
  const found: Match[] = [];
  while ((limit < 0 || found.length < limit) && matcher.find()) {
    const groups: (string | null)[] = [];
    for (let i = 0; i <= matcher.groupCount(); i++) groups.push(matcher.group(i));
    found.push({ start: matcher.start(), end: matcher.end(), groups });
  }
  return found;
}

/** Go's Regexp.ReplaceAll: `$1`, `${1}` and `${name}` in the replacement stand for groups. */
function replaceAll(pattern: string, text: string, replacement: string, literal: boolean): string {
  const names = compile(pattern).namedGroups() as Readonly<Record<string, number>>;
  let out = '';
  let last = 0;
  for (const match of matches(pattern, text, -1)) {
    out += text.slice(last, match.start);
    out += literal
      ? replacement
      : replacement.replace(
          /\$(?:\$|\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))/g,
          (whole, braced: string | undefined, bare: string | undefined) => {
            if (whole === '$$') return '$';
            const name = braced ?? bare ?? '';
            const index = /^\d+$/.test(name) ? Number(name) : names[name];
            return index === undefined ? '' : (match.groups[index] ?? '');
          },
        );
    last = match.end;
  }
  return out + text.slice(last);
}

function regexSplit(pattern: string, text: string, limit: number): string[] {
  if (limit === 0) return [];
  if (pattern.length > 0 && text.length === 0) return [''];
  const parts: string[] = [];
  let from = 0;
  let end = 0;
  for (const match of matches(pattern, text, limit)) {
    if (limit > 0 && parts.length === limit - 1) break;
    end = match.start;
    if (match.end !== 0) parts.push(text.slice(from, end));
    from = match.end;
  }
  if (end !== text.length) parts.push(text.slice(from));
  return parts;
}

/** A function and its `must` form; the plain one panics in Go, which puts more words around a pattern that is wrong. */
const both = (name: string, call: FunctionTable[string]): FunctionTable => ({
  [name]: {
    ...call,
    call: (args) => {
      try {
        return call.call(args);
      } catch (error) {
        if (error instanceof FunctionError && error.message.startsWith('error parsing regexp'))
          throw new FunctionError(`regexp: Compile(\`${String(args[0])}\`): ${error.message}`);
        throw error;
      }
    },
  },
  [`must${capital(name)}`]: call,
});

export const TEXT_FUNCTIONS: FunctionTable = {
  hello: fn([], () => 'Hello!'),
  abbrev: fn(['int', 'string'], (width, text) =>
    width < 4 || text.length <= width ? text : `${text.slice(0, width - 3)}...`,
  ),
  abbrevboth: fn(['int', 'int', 'string'], (left, right, text) => {
    if (right < 4 || (left > 0 && right < 7) || text.length <= right) return text;
    if (left <= 4) return `${text.slice(0, right - 3)}...`;
    const from = Math.min(left, text.length);
    if (from + right - 3 < text.length) return `...${text.slice(from, from + right - 6)}...`;
    return `...${text.slice(text.length - (right - 3))}`;
  }),
  trunc: fn(['int', 'string'], truncate),
  trim: fn(['string'], (text) => text.trim()),
  upper: fn(['string'], (text) => Array.from(text, upperRune).join('')),
  lower: fn(['string'], (text) => text.toLowerCase()),
  title: fn(['string'], (text) =>
    text.replace(/(^|[^\p{L}\p{N}_])(\p{L})/gu, (_, before: string, letter: string) => before + upperRune(letter)),
  ),
  untitle: fn(['string'], (text) =>
    text.replace(/(^|\s)(\p{L})/gu, (_, before: string, letter: string) => before + letter.toLowerCase()),
  ),
  substr: fn(['int', 'int', 'string'], (from, to, text) => {
    if (from < 0) return text.slice(0, to < 0 ? undefined : to);
    return to < 0 || to > text.length ? text.slice(from) : text.slice(from, to);
  }),
  repeat: fn(['int', 'string'], (count, text) => repeat(text, count)),
  trimall: fn(['string', 'string'], (chars, text) => trimChars(text, chars)),
  trimAll: fn(['string', 'string'], (chars, text) => trimChars(text, chars)),
  trimSuffix: fn(['string', 'string'], (end, text) =>
    end !== '' && text.endsWith(end) ? text.slice(0, -end.length) : text,
  ),
  trimPrefix: fn(['string', 'string'], (start, text) => (text.startsWith(start) ? text.slice(start.length) : text)),
  nospace: fn(['string'], (text) => text.replace(/\s/g, '')),
  initials: fn(['string'], (text) =>
    text
      .split(/\s+/)
      .map((word) => Array.from(word)[0] ?? '')
      .join(''),
  ),
  swapcase: fn(['string'], (text) =>
    Array.from(text, (char) => (isUpper(char) ? char.toLowerCase() : isLower(char) ? char.toUpperCase() : char)).join(
      '',
    ),
  ),
  snakecase: fn(['string'], (text) => words(text).join('_').toLowerCase()),
  kebabcase: fn(['string'], (text) => words(text).join('-').toLowerCase()),
  camelcase: fn(
    ['string'],
    (text) =>
      (/^_+/.exec(text)?.[0] ?? '') +
      text
        .split(/[ _-]+/)
        .map(capital)
        .join(''),
  ),
  wrap: fn(['int', 'string'], (width, text) => wrap(text, width, '\n', false)),
  wrapWith: fn(['int', 'string', 'string'], (width, separator, text) => wrap(text, width, separator, true)),
  contains: fn(['string', 'string'], (part, text) => text.includes(part)),
  hasPrefix: fn(['string', 'string'], (part, text) => text.startsWith(part)),
  hasSuffix: fn(['string', 'string'], (part, text) => text.endsWith(part)),
  quote: variadic([], 'any', (_, args) =>
    args
      .filter((arg) => arg !== null)
      .map((arg) => quote(toText(arg)))
      .join(' '),
  ),
  squote: variadic([], 'any', (_, args) =>
    args
      .filter((arg) => arg !== null)
      .map((arg) => `'${toText(arg)}'`)
      .join(' '),
  ),
  cat: variadic([], 'any', (_, args) =>
    args
      .filter((arg) => arg !== null)
      .map(toText)
      .join(' '),
  ),
  indent: fn(['int', 'string'], indent),
  nindent: fn(['int', 'string'], (spaces, text) => `\n${indent(spaces, text)}`),
  replace: fn(['string', 'string', 'string'], (old, by, text) => {
    const pieces = old === '' ? ['', ...Array.from(text), ''] : text.split(old);
    const length = text.length + (pieces.length - 1) * by.length;
    if (length > MAX_RESULT) throw new FunctionError(`result would be longer than ${MAX_RESULT} characters`);
    return old === '' ? `${by}${Array.from(text).join(by)}${text === '' ? '' : by}` : pieces.join(by);
  }),
  plural: fn(['string', 'string', 'int'], (one, many, count) => (count === 1 ? one : many)),
  sha1sum: hash('sha1'),
  sha256sum: hash('sha256'),
  sha512sum: hash('sha512'),
  adler32sum: fn(['string'], adler32),
  toString: fn(['any'], toText),
  split: fn(['string', 'string'], (separator, text) =>
    Object.fromEntries((separator === '' ? Array.from(text) : text.split(separator)).map((part, i) => [`_${i}`, part])),
  ),
  splitList: fn(['string', 'string'], (separator, text) =>
    separator === '' ? Array.from(text) : text.split(separator),
  ),
  splitn: fn(['string', 'int', 'string'], (separator, count, text) => {
    const parts = separator === '' ? Array.from(text) : text.split(separator);
    const kept =
      count > 0 && parts.length > count
        ? [...parts.slice(0, count - 1), parts.slice(count - 1).join(separator)]
        : count === 0
          ? []
          : parts;
    return Object.fromEntries(kept.map((part, i) => [`_${i}`, part]));
  }),
  join: fn(['string', 'any'], (separator, value) => toTexts(value).join(separator)),
  toStrings: fn(['any'], toTexts),
  sortAlpha: fn(['any'], (value) => [...toTexts(value)].sort(compareStrings)),
  b64enc: fn(['string'], (text) => bytes(text).toString('base64')),
  b64dec: fn(['string'], (text) => {
    const bad = /[^A-Za-z0-9+/=\r\n]/.exec(text);
    if (bad !== null) return `illegal base64 data at input byte ${bad.index}`;
    const length = text.replace(/[\r\n]/g, '').length;
    if (length % 4 !== 0) return `illegal base64 data at input byte ${Math.trunc(length / 4) * 4}`;
    return Buffer.from(text, 'base64').toString('utf8');
  }),
  b32enc: fn(['string'], base32),
  b32dec: fn(['string'], unbase32),
  mustRegexMatch: fn(['string', 'string'], (pattern, text) => matches(pattern, text, 1).length > 0),
  regexMatch: fn(['string', 'string'], (pattern, text) => {
    try {
      return matches(pattern, text, 1).length > 0;
    } catch (error) {
      if (error instanceof FunctionError) return false;
      throw error;
    }
  }),
  ...both(
    'regexFind',
    fn(['string', 'string'], (pattern, text) => matches(pattern, text, 1)[0]?.groups[0] ?? ''),
  ),
  ...both(
    'regexFindAll',
    fn(
      ['string', 'string', 'int'],
      (pattern, text, limit): GoValue => matches(pattern, text, limit).map((match) => match.groups[0] ?? ''),
    ),
  ),
  ...both(
    'regexReplaceAll',
    fn(['string', 'string', 'string'], (pattern, text, by) => replaceAll(pattern, text, by, false)),
  ),
  ...both(
    'regexReplaceAllLiteral',
    fn(['string', 'string', 'string'], (pattern, text, by) => replaceAll(pattern, text, by, true)),
  ),
  ...both(
    'regexSplit',
    fn(['string', 'string', 'int'], (pattern, text, limit): GoValue => regexSplit(pattern, text, limit)),
  ),
  regexQuoteMeta: fn(['string'], (text) => text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')),
};
