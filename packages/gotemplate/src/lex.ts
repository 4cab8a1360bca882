import { TemplateParseError } from './errors.ts';

export type TokenKind =
  | 'text'
  | 'leftDelim'
  | 'rightDelim'
  | 'eof'
  | 'space'
  | 'identifier'
  | 'keyword'
  | 'field'
  | 'variable'
  | 'dot'
  | 'nil'
  | 'bool'
  | 'number'
  | 'char'
  | 'string'
  | 'rawString'
  | 'pipe'
  | 'leftParen'
  | 'rightParen'
  | 'declare'
  | 'assign'
  | 'comma'
  /** Any other printable one; no action has a use for it. */
  | 'character';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Offset in the template's text. */
  readonly pos: number;
}

const KEYWORDS = new Set(['block', 'break', 'continue', 'define', 'else', 'end', 'if', 'range', 'template', 'with']);
const SPACE = ' \t\r\n';

function isSpace(char: string | undefined): boolean {
  return char !== undefined && SPACE.includes(char);
}

function isAlphaNumeric(char: string | undefined): boolean {
  return (
    char !== undefined && (char === '_' || (char < '\x80' ? /[A-Za-z0-9]/.test(char) : /[\p{L}\p{Nd}]/u.test(char)))
  );
}

export function lineOf(text: string, pos: number): number {
  let line = 1;
  for (let i = text.indexOf('\n'); i !== -1 && i < pos; i = text.indexOf('\n', i + 1)) line++;
  return line;
}

/** Cuts a template into tokens, by the lexical rules of Go's `text/template` (package documentation, "Text and spaces", "Actions"). */
export function lex(name: string, text: string): Token[] {
  const tokens: Token[] = [];
  let pos = 0;
  const fail = (at: number, message: string): never => {
    throw new TemplateParseError(name, lineOf(text, at), message);
  };
  let trimStart = false;
  for (;;) {
    const open = text.indexOf('{{', pos);
    let end = open === -1 ? text.length : open;
    let start = pos;
    if (trimStart) while (start < end && isSpace(text[start])) start++;
    trimStart = false;
    const trimLeft = open !== -1 && text[open + 2] === '-' && isSpace(text[open + 3]);
    if (trimLeft) while (end > start && isSpace(text[end - 1])) end--;
    if (end > start) tokens.push({ kind: 'text', text: text.slice(start, end), pos: start });
    if (open === -1) break;
    pos = open + 2 + (trimLeft ? 2 : 0);
    if (text.startsWith('/*', pos)) {
      const close = text.indexOf('*/', pos + 2);
      if (close === -1) fail(open, 'unclosed comment');
      pos = close + 2;
      if (isSpace(text[pos]) && text.startsWith('-}}', pos + 1)) {
        pos += 4;
        trimStart = true;
      } else if (text.startsWith('}}', pos)) pos += 2;
      else fail(open, 'comment ends before closing delimiter');
      continue;
    }
    tokens.push({ kind: 'leftDelim', text: '{{', pos: open });
    const inside = lexAction(name, text, pos, open, tokens);
    pos = inside.pos;
    trimStart = inside.trim;
  }
  tokens.push({ kind: 'eof', text: '', pos: text.length });
  return tokens;
}

function lexAction(
  name: string,
  text: string,
  from: number,
  open: number,
  tokens: Token[],
): { readonly pos: number; readonly trim: boolean } {
  let pos = from;
  let parens = 0;
  const fail = (at: number, message: string): never => {
    throw new TemplateParseError(name, lineOf(text, at), message);
  };
  const push = (kind: TokenKind, length: number): void => {
    tokens.push({ kind, text: text.slice(pos, pos + length), pos });
    pos += length;
  };
  const endWord = (at: number): void => {
    const char = text[at];
    if (char === undefined || isSpace(char) || '.,|:)('.includes(char) || text.startsWith('}}', at) || char === '=')
      return;
    fail(at, `bad character ${describe(text, at)}`);
  };
  for (;;) {
    if (isSpace(text[pos]) && text.startsWith('-}}', pos + 1)) {
      if (parens > 0) fail(pos, 'unclosed left paren');
      tokens.push({ kind: 'rightDelim', text: '}}', pos });
      return { pos: pos + 4, trim: true };
    }
    if (text.startsWith('}}', pos)) {
      if (parens > 0) fail(pos, 'unclosed left paren');
      tokens.push({ kind: 'rightDelim', text: '}}', pos });
      return { pos: pos + 2, trim: false };
    }
    const char = text[pos];
    if (char === undefined) return fail(open, 'unclosed action');
    if (isSpace(char)) {
      let length = 1;
      while (
        isSpace(text[pos + length]) &&
        !text.startsWith(' -}}', pos + length) &&
        !(isSpace(text[pos + length]) && text.startsWith('-}}', pos + length + 1))
      )
        length++;
      push('space', length);
    } else if (char === '=') push('assign', 1);
    else if (char === ':') {
      if (text[pos + 1] !== '=') fail(pos, 'expected :=');
      push('declare', 2);
    } else if (char === '|') push('pipe', 1);
    else if (char === ',') push('comma', 1);
    else if (char === '(') {
      parens++;
      push('leftParen', 1);
    } else if (char === ')') {
      if (--parens < 0) fail(pos, 'unexpected right paren');
      push('rightParen', 1);
    } else if (char === '"') {
      let end = pos + 1;
      for (; text[end] !== '"'; end++) {
        if (text[end] === '\\') end++;
        if (text[end] === undefined || text[end] === '\n') fail(pos, 'unterminated quoted string');
      }
      push('string', end + 1 - pos);
    } else if (char === '`') {
      const end = text.indexOf('`', pos + 1);
      if (end === -1) fail(pos, 'unterminated raw quoted string');
      push('rawString', end + 1 - pos);
    } else if (char === "'") {
      let end = pos + 1;
      for (; text[end] !== "'"; end++) {
        if (text[end] === '\\') end++;
        if (text[end] === undefined || text[end] === '\n') fail(pos, 'unterminated character constant');
      }
      push('char', end + 1 - pos);
    } else if (char === '$') {
      let length = 1;
      while (isAlphaNumeric(text[pos + length])) length++;
      endWord(pos + length);
      push('variable', length);
    } else if (char === '.' && !/[0-9]/.test(text[pos + 1] ?? '')) {
      let length = 1;
      while (isAlphaNumeric(text[pos + length])) length++;
      endWord(pos + length);
      push(length === 1 ? 'dot' : 'field', length);
    } else if (/[0-9+\-.]/.test(char)) {
      const match =
        /^[+-]?(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:[0-9][0-9_]*)?(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]+)?)/.exec(
          text.slice(pos, pos + 400),
        );
      const length = match?.[0].length ?? 0;
      if (length === 0 || isAlphaNumeric(text[pos + length]) || !/[0-9]/.test(match?.[0] ?? '')) {
        fail(pos, `bad number syntax: ${JSON.stringify(text.slice(pos, pos + Math.max(1, length) + 1))}`);
      }
      push('number', length);
    } else if (isAlphaNumeric(char)) {
      let length = 1;
      while (isAlphaNumeric(text[pos + length])) length++;
      endWord(pos + length);
      const word = text.slice(pos, pos + length);
      if (KEYWORDS.has(word)) push('keyword', length);
      else if (word === 'true' || word === 'false') push('bool', length);
      else if (word === 'nil') push('nil', length);
      else push('identifier', length);
    } else if (char > ' ' && char < '\x7f') push('character', 1);
    else fail(pos, `unrecognized character in action: ${describe(text, pos)}`);
  }
}

function describe(text: string, pos: number): string {
  const code = text.codePointAt(pos) ?? 0;
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')} '${String.fromCodePoint(code)}'`;
}
