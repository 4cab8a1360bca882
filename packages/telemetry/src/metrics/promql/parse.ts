import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';
import { METRIC_NAME } from '../labels.ts';
import { type Matcher, type MatchOperator, matcher, PatternError } from '../storage/matcher.ts';
import {
  type Aggregator,
  type AtTime,
  aggregators,
  type BinaryNode,
  type BinaryOperator,
  comparisons,
  type Matching,
  type Node,
  type Shift,
  setOperators,
  type VectorSelectorNode,
} from './ast.ts';
import { QueryError } from './errors.ts';
import { signatures } from './functions/signatures.ts';
import { durationMs, numberValue, stringValue } from './literals.ts';
import { childrenOf, expressions, type Piece, piecesOf, precedence, SIGN_PRECEDENCE } from './syntax.ts';
import { checkTypes } from './types.ts';

const MAX_QUERY = 100_000;
/** Deeper trees than people write; the evaluation recurses. */
const MAX_DEPTH = 200;
const MAX_PIECES = 2000;

const isAggregator = (name: string): name is Aggregator => (aggregators as readonly string[]).includes(name);
/** Reads an expression of PromQL. Raises QueryError with the place of what is wrong. */
export function parseQuery(query: string): Node {
  if (query.length > MAX_QUERY) throw new QueryError(`the query is longer than ${MAX_QUERY} characters`);
  if (query.trim() === '') throw new QueryError('no expression found in input', 0);
  const tree = parser.parse(query);
  tree.iterate({
    enter: (node) => {
      if (!node.type.isError) return;
      const found = query.slice(node.from, Math.max(node.to, node.from + 1)).slice(0, 30);
      throw new QueryError(found === '' ? 'unexpected end of input' : `unexpected ${JSON.stringify(found)}`, node.from);
    },
  });
  const top = childrenOf(tree.topNode).find(({ name }) => expressions.has(name));
  if (!top) throw new QueryError('no expression found in input', 0);
  const node = new Reader(query).expression(top, 0);
  checkTypes(node);
  return node;
}

class Reader {
  readonly #query: string;
  constructor(query: string) {
    this.#query = query;
  }

  #text(node: SyntaxNode): string {
    return this.#query.slice(node.from, node.to);
  }

  expression(node: SyntaxNode, depth: number): Node {
    if (depth > MAX_DEPTH) throw new QueryError(`the expression is nested deeper than ${MAX_DEPTH}`, node.from);
    const pieces = piecesOf(node, this.#query);
    if (pieces.length > MAX_PIECES)
      throw new QueryError(`the expression has more than ${MAX_PIECES} operands`, node.from);
    return this.#climb(pieces, 0, depth);
  }

  /** Takes pieces as long as their operators bind at least so tightly. */
  #climb(pieces: Piece[], least: number, depth: number): Node {
    let left = this.#signed(pieces, depth);
    for (;;) {
      const [next] = pieces;
      if (next?.kind !== 'operator' || precedence(next.operator) < least) return left;
      pieces.shift();
      const own = precedence(next.operator);
      const right = this.#climb(pieces, next.operator === '^' ? own : own + 1, depth);
      left = this.#binary(next.node, next.operator, left, right);
    }
  }

  #signed(pieces: Piece[], depth: number): Node {
    const piece = pieces.shift();
    if (piece?.kind === 'sign') {
      const inner = this.#climb(pieces, SIGN_PRECEDENCE + 1, depth);
      if (!this.#text(piece.node).startsWith('-')) return inner;
      return inner.kind === 'number' ? { kind: 'number', value: -inner.value } : { kind: 'minus', inner };
    }
    if (piece?.kind !== 'operand') throw new QueryError('an expression is missing', piece?.node.from);
    let node = this.#operand(piece.node, depth);
    let plain = piece.node.name === 'VectorSelector';
    while (pieces[0]?.kind === 'postfix') {
      const { node: postfix } = pieces[0];
      pieces.shift();
      node = this.#postfix(postfix, node, plain);
      plain = false;
    }
    return node;
  }

  #operand(node: SyntaxNode, depth: number): Node {
    const children = childrenOf(node);
    switch (node.name) {
      case 'NumberDurationLiteral':
        return { kind: 'number', value: numberValue(this.#text(node).replace(/^[-+]\s*/, ''), node.from) };
      case 'StringLiteral':
        return { kind: 'string', value: stringValue(this.#text(node), node.from) };
      case 'ParenExpr': {
        const inner = children.find(({ name }) => expressions.has(name));
        if (!inner) throw new QueryError('an expression is missing', node.from);
        return this.expression(inner, depth + 1);
      }
      case 'VectorSelector':
        return this.#selector(node, children);
      case 'FunctionCall': {
        const name = this.#text(children[0] ?? node);
        if (!Object.hasOwn(signatures, name))
          throw new QueryError(`the function ${name} is not supported by this store`, node.from);
        return { kind: 'call', name, args: this.#arguments(children, depth) };
      }
      case 'AggregateExpr':
        return this.#aggregate(node, children, depth);
      default:
        throw new QueryError(`${node.name} is not supported by this store`, node.from);
    }
  }

  /** A range, subquery, `offset` or `@` after `inner`. `plain`: that is a selector and nothing else. */
  #postfix(node: SyntaxNode, inner: Node, plain: boolean): Node {
    const children = childrenOf(node);
    switch (node.name) {
      case 'MatrixSelector': {
        if (inner.kind !== 'vectorSelector' || !plain)
          throw new QueryError('ranges only allowed for vector selectors', node.from);
        const [range] = this.#durations(node);
        return { kind: 'matrixSelector', selector: inner, range: this.#positive(range, node) };
      }
      case 'SubqueryExpr': {
        const [range, step] = this.#durations(node);
        return {
          kind: 'subquery',
          inner,
          range: this.#positive(range, node),
          step: step === undefined ? undefined : this.#positive(step, node),
          offset: 0,
          at: undefined,
        };
      }
      case 'OffsetExpr': {
        const shift = children.find(({ name }) => name === 'OffsetDurationExpr');
        const offset = shift ? this.#offset(shift) : 0;
        return this.#shifted(inner, node, 'offset', (before) => ({ ...before, offset }));
      }
      case 'StepInvariantExpr': {
        const at = this.#atTime(children, node);
        return this.#shifted(inner, node, '@', (before) => ({ ...before, at }));
      }
      default:
        throw new QueryError(`${node.name} is not supported by this store`, node.from);
    }
  }

  #atTime(children: readonly SyntaxNode[], node: SyntaxNode): AtTime {
    const border = children.find(({ name }) => name === 'AtModifierPreprocessors');
    if (border) return this.#text(border).startsWith('start') ? 'start' : 'end';
    const number = children.findLast(({ name }) => name === 'NumberDurationLiteral');
    const at = number ? Math.round(numberValue(this.#text(number), number.from) * 1000) : Number.NaN;
    if (!Number.isFinite(at)) throw new QueryError('timestamp out of bounds for @ modifier', node.from);
    return at;
  }

  #positive(value: number | undefined, node: SyntaxNode): number {
    if (value === undefined || value <= 0) throw new QueryError('duration must be greater than 0', node.from);
    return value;
  }

  #arguments(children: readonly SyntaxNode[], depth: number): Node[] {
    const body = children.find(({ name }) => name === 'FunctionCallBody');
    return (body ? childrenOf(body) : [])
      .filter(({ name }) => expressions.has(name))
      .map((child) => this.expression(child, depth + 1));
  }

  #durations(node: SyntaxNode): number[] {
    return childrenOf(node)
      .filter(({ name }) => name === 'DurationExpr')
      .map((child) => this.#duration(child));
  }

  #duration(node: SyntaxNode): number {
    const [only, more] = childrenOf(node);
    if (only?.name !== 'NumberDurationLiteralInDurationContext' || more)
      throw new QueryError('arithmetic in durations is not supported by this store', node.from);
    const text = this.#text(only);
    const ms = durationMs(text) ?? Math.round(numberValue(text, only.from) * 1000);
    if (!Number.isFinite(ms)) throw new QueryError('duration out of range', node.from);
    return ms;
  }

  #offset(node: SyntaxNode): number {
    const [sign, operand] = childrenOf(node);
    if (sign?.name === 'UnaryOp' && operand) return (this.#text(sign) === '-' ? -1 : 1) * this.#offset(operand);
    return this.#duration(node);
  }

  #shifted(node: Node, at: SyntaxNode, what: string, change: (shift: Shift) => Shift): Node {
    const once = (shift: Shift): Shift => {
      const changed = change(shift);
      const twice = what === '@' ? shift.at !== undefined : shift.offset !== 0;
      if (twice) throw new QueryError(`${what} may not be set multiple times`, at.from);
      return changed;
    };
    switch (node.kind) {
      case 'vectorSelector':
      case 'subquery':
        return { ...node, ...once({ offset: node.offset, at: node.at }) };
      case 'matrixSelector': {
        const { selector } = node;
        return { ...node, selector: { ...selector, ...once({ offset: selector.offset, at: selector.at }) } };
      }
      default:
        throw new QueryError(
          `${what} modifier must be preceded by an instant vector selector or range vector selector or a subquery`,
          at.from,
        );
    }
  }

  #selector(node: SyntaxNode, children: readonly SyntaxNode[]): VectorSelectorNode {
    const matchers: Matcher[] = [];
    const [first] = children;
    if (first?.name === 'Identifier') matchers.push(matcher(METRIC_NAME, '=', this.#text(first)));
    const list = children.find(({ name }) => name === 'LabelMatchers');
    for (const entry of list ? childrenOf(list) : []) {
      if (entry.name === 'QuotedLabelName') {
        matchers.push(matcher(METRIC_NAME, '=', stringValue(this.#text(entry), entry.from)));
        continue;
      }
      const parts = childrenOf(entry);
      const [name, operator, value] = parts;
      if (!name || !operator || !value) throw new QueryError('a label matcher is not complete', entry.from);
      const label = name.name === 'QuotedLabelName' ? stringValue(this.#text(name), name.from) : this.#text(name);
      try {
        matchers.push(
          matcher(label, this.#text(operator) as MatchOperator, stringValue(this.#text(value), value.from)),
        );
      } catch (error) {
        if (error instanceof PatternError) throw new QueryError(error.message, value.from);
        throw error;
      }
      if (label === METRIC_NAME && first?.name === 'Identifier')
        throw new QueryError(`metric name must not be set twice: ${JSON.stringify(this.#text(first))}`, entry.from);
    }
    if (matchers.every(({ matches }) => matches('')))
      throw new QueryError('vector selector must contain at least one non-empty matcher', node.from);
    return { kind: 'vectorSelector', matchers, offset: 0, at: undefined };
  }

  #labels(list: SyntaxNode | undefined): string[] {
    return (list ? childrenOf(list) : []).map((child) =>
      child.name === 'QuotedLabelName' ? stringValue(this.#text(child), child.from) : this.#text(child),
    );
  }

  #aggregate(node: SyntaxNode, children: readonly SyntaxNode[], depth: number): Node {
    const operator = this.#text(children.find(({ name }) => name === 'AggregateOp') ?? node);
    if (!isAggregator(operator)) throw new QueryError(`${operator} is not supported by this store`, node.from);
    const modifier = children.find(({ name }) => name === 'AggregateModifier');
    const parts = modifier ? childrenOf(modifier) : [];
    const args = this.#arguments(children, depth);
    const takesParameter = ['topk', 'bottomk', 'quantile', 'count_values'].includes(operator);
    const expected = takesParameter ? 2 : 1;
    const inner = args.at(-1);
    if (args.length !== expected || !inner)
      throw new QueryError(
        `wrong number of arguments for aggregate expression provided, expected ${expected}, got ${args.length}`,
        node.from,
      );
    return {
      kind: 'aggregate',
      operator,
      inner,
      parameter: takesParameter ? args[0] : undefined,
      without: parts[0]?.name === 'Without',
      labels: this.#labels(parts.find(({ name }) => name === 'GroupingLabels')),
    };
  }

  #binary(node: SyntaxNode, operator: BinaryOperator, left: Node, right: Node): BinaryNode {
    const children = childrenOf(node);
    if (children.some(({ name }) => name === 'FillModifier'))
      throw new QueryError('fill modifiers are not supported by this store', node.from);
    const bool = children.some(({ name }) => name === 'BoolModifier');
    if (bool && !(comparisons as readonly string[]).includes(operator))
      throw new QueryError('bool modifier can only be used on comparison operators', node.from);
    const clause = children.find(({ name }) => name === 'MatchingModifierClause');
    const isSet = (setOperators as readonly string[]).includes(operator);
    return { kind: 'binary', operator, left, right, bool, matching: this.#matching(clause, isSet, operator) };
  }

  #matching(clause: SyntaxNode | undefined, isSet: boolean, operator: BinaryOperator): Matching {
    if (!clause) return { on: false, labels: [], cardinality: isSet ? 'many-to-many' : 'one-to-one', include: [] };
    const parts = childrenOf(clause);
    const on = parts.some(({ name }) => name === 'On');
    const lists = parts.filter(({ name }) => name === 'GroupingLabels');
    const group = parts.find(({ name }) => name === 'GroupLeft' || name === 'GroupRight');
    if (group && isSet)
      throw new QueryError(`no grouping allowed for ${JSON.stringify(operator)} operation`, group.from);
    const labels = this.#labels(lists[0]);
    const include = group ? this.#labels(lists[1]) : [];
    const both = on ? include.find((label) => labels.includes(label)) : undefined;
    if (both !== undefined)
      throw new QueryError(`label ${JSON.stringify(both)} must not occur in ON and GROUP clause at once`, clause.from);
    const cardinality = isSet
      ? 'many-to-many'
      : group?.name === 'GroupLeft'
        ? 'many-to-one'
        : group
          ? 'one-to-many'
          : 'one-to-one';
    return { on, labels, cardinality, include };
  }
}
