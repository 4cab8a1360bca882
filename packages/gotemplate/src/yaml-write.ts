import { formatFloat } from './print.ts';
import { Float, type GoMap, GoObject, kindOf } from './value.ts';
import { looksTyped } from './yaml-read.ts';

/** Columns after which go-yaml v2 folds a scalar at the next space. */
const WIDTH = 80;

/** Writes a value exactly as Go's `sigs.k8s.io/yaml` does: keys sorted, sequences not indented, its quoting and folding. Ends with a line feed. */
export function writeYaml(value: unknown, options: { readonly indentLists?: boolean } = {}): string {
  const out = new Writer(options.indentLists === true);
  out.node(value, 0, 'root');
  return out.text();
}

type Place = 'root' | 'value' | 'item';

class Writer {
  private readonly parts: string[] = [];
  private column = 0;
  private readonly indentLists: boolean;

  constructor(indentLists: boolean) {
    this.indentLists = indentLists;
  }

  text(): string {
    return this.parts.join('');
  }

  private put(text: string): undefined {
    this.parts.push(text);
    const line = text.lastIndexOf('\n');
    this.column = line === -1 ? this.column + Buffer.byteLength(text) : Buffer.byteLength(text.slice(line + 1));
  }

  /** Writes a node after `key:` (with its own leading space or line), after `- `, or at the start. */
  node(value: unknown, indent: number, place: Place): undefined {
    if (value instanceof GoObject) return this.node(value.toJSON(), indent, place);
    const lead = place === 'value' ? ' ' : '';
    switch (kindOf(value)) {
      case 'map': {
        const entries = Object.entries(value as GoMap).filter(([, item]) => item !== undefined);
        if (entries.length === 0) return this.put(`${lead}{}\n`);
        entries.sort(([a], [b]) => compareKeys(a, b));
        if (place === 'value') this.put('\n');
        entries.forEach(([key, item], i) => {
          if (i > 0 || place !== 'item') this.put(' '.repeat(indent));
          this.scalar(key, indent, true);
          this.put(':');
          // Sequences in mappings stand at the mapping's own indentation, unless asked for otherwise.
          this.node(item, Array.isArray(item) && !this.indentLists ? indent : indent + 2, 'value');
        });
        return;
      }
      case 'slice': {
        const items = value as readonly unknown[];
        if (items.length === 0) return this.put(`${lead}[]\n`);
        if (place === 'value') this.put('\n');
        items.forEach((item, i) => {
          if (i > 0 || place !== 'item') this.put(' '.repeat(indent));
          this.put('- ');
          this.node(item, indent + 2, 'item');
        });
        return;
      }
      default:
        this.put(lead);
        this.scalar(value, indent, false);
        this.put('\n');
    }
  }

  private scalar(value: unknown, indent: number, key: boolean): undefined {
    switch (kindOf(value)) {
      case 'nil':
      case 'invalid':
      case 'func':
        return this.put('null');
      case 'bool':
        return this.put(String(value));
      case 'int':
        return this.put(
          typeof value === 'number' && Math.abs(value) >= 1e21
            ? formatFloat(value)
            : BigInt(value as number).toString(),
        );
      case 'float': {
        const number = value instanceof Float ? value.value : (value as number);
        if (Number.isNaN(number)) return this.put('.nan');
        return this.put(Number.isInteger(number) && Math.abs(number) < 1e21 ? String(number) : formatFloat(number));
      }
      case 'string':
        return this.string(value as string, indent, key);
      default:
        return this.put('null');
    }
  }

  private string(text: string, indent: number, key: boolean): undefined {
    const facts = analyze(text);
    let style: 'plain' | 'single' | 'double' | 'literal' = text.includes('\n')
      ? 'literal'
      : needsQuotes(text)
        ? 'double'
        : 'plain';
    if (key && facts.multiline) style = 'double';
    if (style === 'plain' && !facts.plain) style = 'single';
    if (style === 'single' && !facts.single) style = 'double';
    if (style === 'literal' && (!facts.block || key)) style = 'double';
    switch (style) {
      case 'plain':
        return this.folded(text, indent, key, (char) => char, false);
      case 'single':
        this.put("'");
        this.folded(text, indent, key, (char) => (char === "'" ? "''" : char), true);
        return this.put("'");
      case 'double':
        return this.doubleQuoted(text, indent, key);
      case 'literal':
        return this.literal(text, indent);
    }
  }

  private folded(
    text: string,
    indent: number,
    key: boolean,
    write: (char: string) => string,
    inner: boolean,
  ): undefined {
    let spaces = false;
    for (let i = 0; i < text.length; i++) {
      const char = text[i] ?? '';
      const inside = !inner || (i > 0 && i < text.length - 1);
      if (char === ' ' && !key && !spaces && this.column > WIDTH && inside && text[i + 1] !== ' ')
        this.put(`\n${' '.repeat(indent)}`);
      else this.put(write(char));
      spaces = char === ' ';
    }
  }

  private doubleQuoted(text: string, indent: number, key: boolean): undefined {
    this.put('"');
    let spaces = false;
    const chars = Array.from(text);
    chars.forEach((char, i) => {
      const code = char.codePointAt(0) ?? 0;
      if (char === ' ') {
        if (!key && !spaces && this.column > WIDTH && i > 0 && i < chars.length - 1) {
          this.put(`\n${' '.repeat(indent)}`);
          if (chars[i + 1] === ' ') this.put('\\');
        } else this.put(' ');
        spaces = true;
        return;
      }
      spaces = false;
      const short = ESCAPES[code];
      if (short !== undefined) this.put(`\\${short}`);
      else if (isPrintable(code)) this.put(char);
      else if (code <= 0xff) this.put(`\\x${hex(code, 2)}`);
      else if (code <= 0xffff) this.put(`\\u${hex(code, 4)}`);
      else this.put(`\\U${hex(code, 8)}`);
    });
    this.put('"');
  }

  private literal(text: string, indent: number): undefined {
    const hint = /^[ \n]/.test(text) ? '2' : '';
    const chomp = !text.endsWith('\n') ? '-' : text === '\n' || text.endsWith('\n\n') ? '+' : '';
    this.put(`|${hint}${chomp}`);
    const lines = text.split('\n');
    if (text.endsWith('\n')) lines.pop();
    const pad = ' '.repeat(Math.max(indent, 2));
    for (const line of lines) this.put(line === '' ? '\n' : `\n${pad}${line}`);
  }
}

const ESCAPES: Readonly<Record<number, string>> = {
  0: '0',
  7: 'a',
  8: 'b',
  9: 't',
  10: 'n',
  11: 'v',
  12: 'f',
  13: 'r',
  27: 'e',
  34: '"',
  92: '\\',
  133: 'N',
  160: '_',
  8232: 'L',
  8233: 'P',
};

function hex(code: number, digits: number): string {
  return code.toString(16).toUpperCase().padStart(digits, '0');
}

/** What YAML 1.1 calls printable, without the byte order mark and the breaks other than line feed. */
function isPrintable(code: number): boolean {
  if (code < 0x80) return code >= 0x20 && code < 0x7f;
  return (
    code >= 0xa0 &&
    code <= 0xffff &&
    code !== 0xfeff &&
    code !== 0xfffe &&
    code !== 0xffff &&
    !(code >= 0xd800 && code <= 0xdfff)
  );
}

const BASE_60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;
const TIMESTAMP =
  /^[0-9]{4}-(0?[1-9]|1[0-2])-(0?[1-9]|[12][0-9]|3[01])([Tt ][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?)?$/;

function needsQuotes(text: string): boolean {
  return looksTyped(text) || BASE_60.test(text) || TIMESTAMP.test(text);
}

function analyze(text: string): {
  readonly multiline: boolean;
  readonly plain: boolean;
  readonly single: boolean;
  readonly block: boolean;
} {
  if (text === '') return { multiline: false, plain: true, single: true, block: false };
  const breaks = /[\n\r\u0085\u2028\u2029]/;
  const multiline = breaks.test(text);
  let special = false;
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    if (code !== 10 && !isPrintable(code)) special = true;
  }
  const spaceBreak = / [\n\r\u0085\u2028\u2029]/.test(text);
  const breakSpace = /[\n\r\u0085\u2028\u2029] /.test(text);
  const edges = /^[ \n\r\u0085\u2028\u2029]|[ \n\r\u0085\u2028\u2029]$/.test(text);
  const indicators =
    /^(---|\.\.\.)/.test(text) ||
    /^[#,[\]{}&*!|>'"%@`]/.test(text) ||
    /^[?:-]([ \t\n\r\u0085\u2028\u2029]|$)/.test(text) ||
    /:([ \t\n\r\u0085\u2028\u2029]|$)/.test(text.slice(1)) ||
    /[ \t\n\r\u0085\u2028\u2029]#/.test(text);
  return {
    multiline,
    plain: !edges && !breakSpace && !spaceBreak && !special && !multiline && !indicators,
    single: !breakSpace && !spaceBreak && !special,
    block: !text.endsWith(' ') && !spaceBreak && !special,
  };
}

const LETTER = /\p{L}/u;
const DIGIT = /\p{Nd}/u;

/** go-yaml's order of keys: letters after other characters, runs of digits by their number. */
export function compareKeys(left: string, right: string): number {
  const a = Array.from(left);
  const b = Array.from(right);
  for (let i = 0; i < a.length && i < b.length; i++) {
    const x = a[i] ?? '';
    const y = b[i] ?? '';
    if (x === y) continue;
    const xLetter = LETTER.test(x);
    const yLetter = LETTER.test(y);
    if (xLetter && yLetter) return (x.codePointAt(0) ?? 0) - (y.codePointAt(0) ?? 0);
    if (xLetter || yLetter) return yLetter ? -1 : 1;
    let prefix = '';
    if (x === '0' || y === '0') {
      for (let j = i - 1; j >= 0 && DIGIT.test(a[j] ?? ''); j--) {
        if (a[j] !== '0') {
          prefix = '1';
          break;
        }
      }
    }
    const run = (chars: readonly string[]): string => {
      let end = i;
      while (end < chars.length && DIGIT.test(chars[end] ?? '')) end++;
      return chars.slice(i, end).join('');
    };
    const ra = run(a);
    const rb = run(b);
    const na = Number(prefix + ra);
    const nb = Number(prefix + rb);
    if (na !== nb) return na - nb;
    if (ra.length !== rb.length) return ra.length - rb.length;
    return (x.codePointAt(0) ?? 0) - (y.codePointAt(0) ?? 0);
  }
  return a.length - b.length;
}
