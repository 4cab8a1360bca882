import { FunctionError } from './errors.ts';
import { Float, type GoMap, type GoValue, isList, isMap, kindOf, newMap, numberOf, sortedKeys } from './value.ts';

/** TOML as Helm's `toToml` and `fromToml` have it: TOML 1.0 without dates. */

const isTables = (value: GoValue): value is readonly GoMap[] =>
  isList(value) && value.length > 0 && value.every((item) => isMap(item));

/** Plain values first, then tables, each in the order of their keys; tables are indented by their depth. */
export function writeToml(value: GoValue): string {
  if (!isMap(value)) throw new FunctionError('toml: top-level values must be Go maps or structs');
  const out: string[] = [];
  table(value, [], out);
  return out.join('');
}

function table(map: GoMap, path: readonly string[], out: string[]): void {
  const pad = '  '.repeat(path.length);
  const keys = sortedKeys(map).filter((key) => map[key] !== null && map[key] !== undefined);
  for (const key of keys) {
    const value = map[key];
    if (!isMap(value) && !isTables(value)) out.push(`${pad}${keyText(key)} = ${inline(value)}\n`);
  }
  for (const key of keys) {
    const value = map[key];
    const at = [...path, key];
    const name = at.map(keyText).join('.');
    const indent = '  '.repeat(path.length);
    if (isMap(value)) {
      if (path.length === 0 && out.length > 0) out.push('\n');
      out.push(`${indent}[${name}]\n`);
      table(value, at, out);
    } else if (isTables(value)) {
      for (const item of value) {
        if (out.length > 0) out.push('\n');
        out.push(`${indent}[[${name}]]\n`);
        table(item, at, out);
      }
    }
  }
}

const keyText = (key: string): string => (/^[A-Za-z0-9_-]+$/.test(key) ? key : text(key));

function text(value: string): string {
  const escapes: Readonly<Record<string, string>> = {
    '"': '\\"', '\\': '\\\\', '\n': '\\n', '\t': '\\t', '\r': '\\r', '\b': '\\b', '\f': '\\f',
  }; // biome-ignore format: a table
  return `"${value.replace(/["\\\u0000-\u001f\u007f]/g, (char) => escapes[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
}

function inline(value: GoValue): string {
  if (typeof value === 'string') return text(value);
  if (isList(value)) return `[${value.map(inline).join(', ')}]`;
  if (isMap(value))
    return `{${sortedKeys(value)
      .map((key) => `${keyText(key)} = ${inline(value[key])}`)
      .join(', ')}}`;
  const number = numberOf(value);
  if (number !== undefined)
    return kindOf(value) === 'float' && Number.isInteger(number) ? number.toFixed(1) : String(number);
  return String(value);
}

/** Reads TOML. Throws `FunctionError` with the line. */
export function readToml(source: string): GoMap {
  return new Reader(source).document();
}

class Reader {
  private readonly source: string;
  private at = 0;

  constructor(source: string) {
    this.source = source;
  }

  document(): GoMap {
    const root = newMap();
    let here = root;
    for (this.blank(); this.at < this.source.length; this.blank()) {
      if (this.take('[[')) {
        here = this.table(root, this.path(), true);
        this.need(']]');
      } else if (this.take('[')) {
        here = this.table(root, this.path(), false);
        this.need(']');
      } else this.entry(here);
      this.spaces();
      if (this.at < this.source.length && !/[\n\r#]/.test(this.source[this.at] ?? ''))
        this.fail('expected the end of the line');
    }
    return root;
  }

  private fail(message: string): never {
    const line = this.source.slice(0, this.at).split('\n').length;
    throw new FunctionError(`toml: line ${line}: ${message}`);
  }

  private take(word: string): boolean {
    if (!this.source.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  private need(word: string): void {
    this.spaces();
    if (!this.take(word)) this.fail(`expected ${word}`);
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.source)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  private spaces(): void {
    this.match(/[ \t]*/y);
  }

  private blank(): void {
    this.match(/(?:[ \t\r\n]+|#[^\n]*)*/y);
  }

  private path(): string[] {
    const keys: string[] = [];
    do {
      this.spaces();
      keys.push(this.match(/[A-Za-z0-9_-]+/y) ?? this.quoted() ?? this.fail('expected a key'));
      this.spaces();
    } while (this.take('.'));
    return keys;
  }

  private table(from: GoMap, keys: readonly string[], list: boolean): GoMap {
    let here = from;
    for (const [index, key] of keys.entries()) {
      const present = here[key];
      if (list && index === keys.length - 1) {
        const items = isList(present) ? [...present] : [];
        const item = newMap();
        here[key] = [...items, item];
        return item;
      }
      if (isList(present)) {
        const last = present.at(-1);
        here = isMap(last) ? last : this.fail(`${key} is not a table`);
      } else if (isMap(present)) here = present;
      else if (present === undefined) {
        const next = newMap();
        here[key] = next;
        here = next;
      } else this.fail(`${key} is set already`);
    }
    return here;
  }

  private entry(into: GoMap): void {
    const keys = this.path();
    this.need('=');
    this.spaces();
    const last = keys.at(-1) ?? '';
    const target = this.table(into, keys.slice(0, -1), false);
    if (Object.hasOwn(target, last)) this.fail(`${last} is set twice`);
    target[last] = this.value();
  }

  private value(): GoValue {
    const quoted = this.quoted();
    if (quoted !== undefined) return quoted;
    if (this.take('[')) return this.items(']', () => this.value());
    if (this.take('{')) {
      const map = newMap();
      this.items('}', () => this.entry(map));
      return map;
    }
    const word = this.match(/[^\s,\]}#]+/y) ?? this.fail('expected a value');
    if (word === 'true' || word === 'false') return word === 'true';
    const digits = word.replaceAll('_', '');
    if (/^[+-]?\d+$/.test(digits) || /^0(x[0-9a-fA-F]+|o[0-7]+|b[01]+)$/.test(digits)) return Number(digits);
    if (/^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(digits)) {
      const number = Number(digits);
      return Number.isInteger(number) ? new Float(number) : number;
    }
    return this.fail(`${word} is not a value`);
  }

  private items<T>(end: string, read: () => T): T[] {
    const found: T[] = [];
    for (this.blank(); !this.take(end); this.blank()) {
      found.push(read());
      this.blank();
      if (this.take(end)) break;
      if (!this.take(',')) this.fail(`expected , or ${end}`);
    }
    return found;
  }

  private quoted(): string | undefined {
    const long = this.match(/"""[\s\S]*?"""|'''[\s\S]*?'''/y);
    if (long !== undefined) {
      const body = long.slice(3, -3).replace(/^\r?\n/, '');
      return long.startsWith('"') ? this.unescape(body.replace(/\\\s*\n\s*/g, '')) : body;
    }
    const basic = this.match(/"(?:[^"\\\n]|\\.)*"/y);
    if (basic !== undefined) return this.unescape(basic.slice(1, -1));
    return this.match(/'[^'\n]*'/y)?.slice(1, -1);
  }

  private unescape(body: string): string {
    return body.replace(/\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)/g, (_, code: string) => {
      const simple = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', '"': '"', '\\': '\\', e: '\x1b' }[code];
      if (simple !== undefined) return simple;
      if (code.length > 1) return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
      return this.fail(`\\${code} is not an escape`);
    });
  }
}
