import { TemplateParseError } from './errors.ts';
import { lex, lineOf, type Token } from './lex.ts';
import { characterOf, LiteralError, numberOf, unquoted } from './literals.ts';
import type { Command, Expression, Node, Pipeline, Source, TemplateTree } from './nodes.ts';

/** Nesting of blocks and parentheses beyond this is refused: the parser and the evaluator recurse. */
const MAX_NESTING = 200;
/** Longest template text accepted, in UTF-16 units. */
const MAX_TEXT = 16 * 1024 * 1024;

type Ender = 'end' | 'else' | 'eof';

/**
 * Parses one template text. The first tree is the text itself under `name`; one more follows for each `define` and `block` in it.
 * `hasFunction` tells which function names exist: an unknown one is an error of the template, as in Go.
 * Throws `TemplateParseError`.
 */
export function parse(name: string, text: string, hasFunction: (name: string) => boolean): readonly TemplateTree[] {
  if (text.length > MAX_TEXT) throw new TemplateParseError(name, 1, `template is longer than ${MAX_TEXT} characters`);
  return new Parser(name, text, hasFunction).parse();
}

class Parser {
  private readonly source: Source;
  private readonly tokens: readonly Token[];
  private readonly hasFunction: (name: string) => boolean;
  private readonly defined: TemplateTree[] = [];
  private index = 0;
  private variables: string[] = ['$'];
  private rangeDepth = 0;
  private nesting = 0;

  constructor(name: string, text: string, hasFunction: (name: string) => boolean) {
    this.source = { template: name, text };
    this.tokens = lex(name, text);
    this.hasFunction = hasFunction;
  }

  parse(): readonly TemplateTree[] {
    const { nodes, ender } = this.list('input');
    if (ender !== 'eof') this.fail(`unexpected {{${ender}}}`, this.tokens[Math.max(0, this.index - 1)]);
    return [{ name: this.source.template, source: this.source, root: nodes }, ...this.defined];
  }

  private fail(message: string, token: Token | undefined = this.tokens[this.index]): never {
    throw new TemplateParseError(
      this.source.template,
      lineOf(this.source.text, token?.pos ?? this.source.text.length),
      message,
    );
  }

  private peek(): Token {
    return this.tokens[this.index] ?? { kind: 'eof', text: '', pos: this.source.text.length };
  }

  private next(): Token {
    const token = this.peek();
    this.index++;
    return token;
  }

  private skipSpace(): Token {
    while (this.peek().kind === 'space') this.index++;
    return this.peek();
  }

  private nextNonSpace(): Token {
    this.skipSpace();
    return this.next();
  }

  private expect(kind: Token['kind'], context: string): Token {
    const token = this.nextNonSpace();
    if (token.kind !== kind) this.unexpected(token, context);
    return token;
  }

  private unexpected(token: Token, context: string): never {
    const shown =
      token.kind === 'eof'
        ? 'EOF'
        : token.kind === 'keyword'
          ? `<${token.text}>`
          : JSON.stringify(token.text.length > 10 ? `${token.text.slice(0, 10)}...` : token.text);
    return this.fail(`unexpected ${shown} in ${context}`, token);
  }

  private enter(): void {
    if (++this.nesting > MAX_NESTING) this.fail(`nested deeper than ${MAX_NESTING} levels`);
  }

  private list(context: string): { nodes: Node[]; ender: Ender } {
    this.enter();
    const nodes: Node[] = [];
    for (;;) {
      const token = this.next();
      if (token.kind === 'eof') {
        this.nesting--;
        if (context !== 'input') this.fail(`unexpected EOF`, token);
        return { nodes, ender: 'eof' };
      }
      if (token.kind === 'text') {
        nodes.push({ type: 'text', text: token.text, pos: token.pos, source: this.source });
        continue;
      }
      if (token.kind !== 'leftDelim') this.unexpected(token, context);
      const word = this.skipSpace();
      if (word.kind === 'keyword' && (word.text === 'end' || word.text === 'else')) {
        this.next();
        if (word.text === 'end') this.expect('rightDelim', 'end');
        this.nesting--;
        return { nodes, ender: word.text };
      }
      if (word.kind === 'keyword' && word.text === 'define') {
        this.next();
        if (context !== 'input') this.unexpected(word, context);
        this.definition();
        continue;
      }
      nodes.push(this.action());
    }
  }

  private definition(): void {
    const name = this.templateName('define clause');
    this.expect('rightDelim', 'define clause');
    this.body(name, 'define');
  }

  /** Parses up to `end` as a template of its own, with its own variables. */
  private body(name: string, context: string): void {
    const outer = this.variables;
    const ranges = this.rangeDepth;
    this.variables = ['$'];
    this.rangeDepth = 0;
    const { nodes, ender } = this.list(context);
    if (ender !== 'end') this.fail(`unexpected {{else}} in ${context}`);
    this.variables = outer;
    this.rangeDepth = ranges;
    this.defined.push({ name, source: this.source, root: nodes });
  }

  private templateName(context: string): string {
    const token = this.nextNonSpace();
    if (token.kind !== 'string' && token.kind !== 'rawString') this.unexpected(token, context);
    return this.literal(token, unquoted);
  }

  private action(): Node {
    const token = this.skipSpace();
    const at = { pos: token.pos, source: this.source };
    if (token.kind === 'keyword') {
      this.next();
      switch (token.text) {
        case 'if':
        case 'with':
        case 'range':
          return this.control(token.text, token);
        case 'template': {
          const nameAt = { pos: this.skipSpace().pos, source: this.source };
          const name = this.templateName('template clause');
          const pipeline =
            this.skipSpace().kind === 'rightDelim' ? undefined : this.pipeline('template clause', 'rightDelim');
          if (pipeline === undefined) this.next();
          return { type: 'template', name, pipeline, ...nameAt };
        }
        case 'block': {
          const name = this.templateName('block clause');
          const pipeline = this.pipeline('block clause', 'rightDelim');
          this.body(name, 'block');
          return { type: 'template', name, pipeline, ...at };
        }
        case 'break':
        case 'continue':
          if (this.rangeDepth === 0) this.fail(`{{${token.text}}} outside {{range}}`, token);
          this.expect('rightDelim', `{{${token.text}}}`);
          return { type: token.text, ...at };
        default:
          this.unexpected(token, 'command');
      }
    }
    return { type: 'action', pipeline: this.pipeline('command', 'rightDelim'), ...at };
  }

  private control(type: 'if' | 'with' | 'range', token: Token): Node {
    const scope = this.variables.length;
    const pipeline = this.pipeline(type, 'rightDelim');
    if (type === 'range') this.rangeDepth++;
    let { nodes, ender } = this.list(type);
    const list = nodes;
    if (type === 'range') this.rangeDepth--;
    let elseList: readonly Node[] | undefined;
    if (ender === 'else') {
      const word = this.skipSpace();
      // "else if" and "else with" are an else block that holds one more block and shares its end.
      if (word.kind === 'keyword' && (word.text === 'if' || word.text === 'with') && word.text === type) {
        this.next();
        this.enter();
        elseList = [this.control(type, word)];
        this.nesting--;
      } else {
        this.expect('rightDelim', 'else');
        ({ nodes, ender } = this.list(type));
        if (ender !== 'end') this.fail(`expected end; found {{else}}`);
        elseList = nodes;
      }
    }
    this.variables.length = scope;
    return { type, pipeline, list, elseList, pos: token.pos, source: this.source };
  }

  private pipeline(context: string, end: 'rightDelim' | 'rightParen'): Pipeline {
    this.enter();
    const start = this.skipSpace();
    const variables: string[] = [];
    let assign = false;
    const declared: string[] = [];
    for (;;) {
      const token = this.skipSpace();
      if (token.kind !== 'variable') break;
      const mark = this.index;
      this.next();
      const after = this.skipSpace();
      if (after.kind === 'declare' || after.kind === 'assign') {
        this.next();
        variables.push(token.text);
        assign = after.kind === 'assign';
        declared.push(...variables);
        break;
      }
      if (after.kind === 'comma' && variables.length === 0) {
        if (context !== 'range') this.fail(`too many declarations in ${context}`, start);
        this.next();
        variables.push(token.text);
        if (this.skipSpace().kind !== 'variable') this.fail(`range can only initialize variables`);
        continue;
      }
      if (variables.length > 0) this.unexpected(after, context);
      this.index = mark;
      break;
    }
    if (variables.length > (context === 'range' ? 2 : 1)) this.fail(`too many declarations in ${context}`, start);
    const commands: Command[] = [];
    for (;;) {
      const token = this.skipSpace();
      if (token.kind === end) {
        this.next();
        break;
      }
      if (commands.length > 0) {
        if (token.kind !== 'pipe') this.unexpected(token, context);
        this.next();
        // A pipe with nothing behind it is no mistake for Go.
        if (this.skipSpace().kind === end) continue;
      }
      commands.push(this.command(context));
    }
    if (commands.length === 0) this.fail(`missing value for ${context}`, start);
    commands.slice(1).forEach((command, i) => {
      const first = command.args[0]?.type;
      if (first === 'bool' || first === 'dot' || first === 'nil' || first === 'number' || first === 'string')
        this.fail(`non executable command in pipeline stage ${i + 2}`, start);
    });
    this.variables.push(...declared);
    this.nesting--;
    return { assign, variables, commands, pos: start.pos, source: this.source };
  }

  private command(context: string): Command {
    const start = this.skipSpace();
    const args: Expression[] = [];
    for (;;) {
      const token = this.skipSpace();
      const operand = this.operand();
      if (operand === undefined) {
        if (args.length === 0) {
          if (token.kind === 'rightDelim' || token.kind === 'rightParen')
            this.fail(`missing value for ${context === 'command' ? 'command' : context}`, token);
          this.unexpected(token, context === 'command' ? 'command' : 'operand');
        }
        break;
      }
      args.push(operand);
      const after = this.peek();
      if (after.kind === 'space') continue;
      if (after.kind === 'rightDelim' || after.kind === 'rightParen' || after.kind === 'pipe') break;
      this.unexpected(after, 'operand');
    }
    return { args, pos: start.pos, source: this.source };
  }

  private operand(): Expression | undefined {
    const term = this.term();
    if (term === undefined) return undefined;
    if (this.peek().kind !== 'field') return term;
    const at = { pos: this.peek().pos, source: this.source };
    const names: string[] = [];
    while (this.peek().kind === 'field') names.push(this.next().text.slice(1));
    switch (term.type) {
      case 'field':
        return { ...term, names: [...term.names, ...names], ...at };
      case 'variable':
        return { ...term, names: [...term.names, ...names], ...at };
      case 'bool':
      case 'string':
      case 'number':
      case 'nil':
      case 'dot':
        return this.fail(
          `unexpected . after term ${JSON.stringify(term.type === 'dot' ? '.' : 'text' in term ? term.text : term.type)}`,
        );
      default:
        return { type: 'chain', base: term, names, ...at };
    }
  }

  private term(): Expression | undefined {
    const token = this.skipSpace();
    const at = { pos: token.pos, source: this.source };
    switch (token.kind) {
      case 'identifier':
        if (!this.hasFunction(token.text)) this.fail(`function ${JSON.stringify(token.text)} not defined`, token);
        this.next();
        return { type: 'function', name: token.text, ...at };
      case 'dot':
        this.next();
        return { type: 'dot', ...at };
      case 'nil':
        this.next();
        return { type: 'nil', ...at };
      case 'variable':
        this.checkVariable(token.text, token);
        this.next();
        return { type: 'variable', name: token.text, names: [], ...at };
      case 'field':
        this.next();
        return { type: 'field', names: [token.text.slice(1)], ...at };
      case 'bool':
        this.next();
        return { type: 'bool', value: token.text === 'true', ...at };
      case 'number':
        this.next();
        return { type: 'number', text: token.text, value: this.literal(token, numberOf), ...at };
      case 'char':
        this.next();
        return { type: 'number', text: token.text, value: this.literal(token, characterOf), ...at };
      case 'string':
      case 'rawString':
        this.next();
        return { type: 'string', quoted: token.text, value: this.literal(token, unquoted), ...at };
      case 'leftParen':
        this.next();
        return { type: 'pipeline', pipeline: this.pipeline('parenthesized pipeline', 'rightParen'), ...at };
      default:
        return undefined;
    }
  }

  private checkVariable(name: string, token: Token): void {
    if (!this.variables.includes(name)) this.fail(`undefined variable ${JSON.stringify(name)}`, token);
  }

  /** Reads a literal; one that is none is an error at its place. */
  private literal<T>(token: Token, read: (text: string) => T): T {
    try {
      return read(token.text);
    } catch (error) {
      if (error instanceof LiteralError) return this.fail(error.message, token);
      throw error;
    }
  }
}
