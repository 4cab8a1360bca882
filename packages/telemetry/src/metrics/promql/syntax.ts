import type { SyntaxNode } from '@lezer/common';
import type { BinaryOperator } from './ast.ts';

/** Names of the grammar's nodes that are expressions. */
export const expressions: ReadonlySet<string> = new Set([
  'AggregateExpr',
  'BinaryExpr',
  'FunctionCall',
  'MatrixSelector',
  'NumberDurationLiteral',
  'OffsetExpr',
  'AnchoredExpr',
  'SmoothedExpr',
  'ParenExpr',
  'StringLiteral',
  'SubqueryExpr',
  'UnaryExpr',
  'VectorSelector',
  'StepInvariantExpr',
]);

export const binaryTokens: Readonly<Record<string, BinaryOperator>> = {
  Pow: '^',
  Mul: '*',
  Div: '/',
  Mod: '%',
  Atan2: 'atan2',
  Add: '+',
  Sub: '-',
  Eql: '==',
  Neq: '!=',
  Gtr: '>',
  Lss: '<',
  Gte: '>=',
  Lte: '<=',
  And: 'and',
  Or: 'or',
  Unless: 'unless',
};

export function childrenOf(node: SyntaxNode): SyntaxNode[] {
  const children: SyntaxNode[] = [];
  for (let child = node.firstChild; child; child = child.nextSibling)
    if (child.name !== 'LineComment') children.push(child);
  return children;
}

/** A piece of an expression without its parentheses. */
export type Piece =
  | { readonly kind: 'sign'; readonly node: SyntaxNode }
  | { readonly kind: 'operand'; readonly node: SyntaxNode }
  /** A range, `offset` or `@` after an operand. */
  | { readonly kind: 'postfix'; readonly node: SyntaxNode }
  | { readonly kind: 'operator'; readonly node: SyntaxNode; readonly operator: BinaryOperator };

const postfixes = new Set(['MatrixSelector', 'SubqueryExpr', 'OffsetExpr', 'StepInvariantExpr']);

/**
 * The pieces of an expression in the order of the text. The grammar takes `a + b offset 1m` for an offset of the sum, and `-1 ^ 2` for the square of -1;
 * Prometheus' own does not, so that what belongs together is found anew from the pieces.
 */
export function piecesOf(node: SyntaxNode, query: string): Piece[] {
  if (node.name === 'NumberDurationLiteral' && /^[-+]/.test(query[node.from] ?? ''))
    return [
      { kind: 'sign', node },
      { kind: 'operand', node },
    ];
  const children = childrenOf(node);
  const inner = children.filter(({ name }) => expressions.has(name));
  const [first, second] = inner;
  if (first && node.name === 'UnaryExpr') {
    const sign = children.find(({ name }) => name === 'UnaryOp') ?? node;
    return [{ kind: 'sign', node: sign }, ...piecesOf(first, query)];
  }
  if (first && postfixes.has(node.name)) return [...piecesOf(first, query), { kind: 'postfix', node }];
  const operator = children.map(({ name }) => binaryTokens[name]).find((found) => found !== undefined);
  if (first && second && node.name === 'BinaryExpr' && operator !== undefined)
    return [...piecesOf(first, query), { kind: 'operator', node, operator }, ...piecesOf(second, query)];
  return [{ kind: 'operand', node }];
}

/** How tightly an operator binds; `^` groups from the right (Prometheus' documentation, "Binary operator precedence"). */
export function precedence(operator: BinaryOperator): number {
  switch (operator) {
    case 'or':
      return 1;
    case 'and':
    case 'unless':
      return 2;
    case '==':
    case '!=':
    case '>':
    case '<':
    case '>=':
    case '<=':
      return 3;
    case '+':
    case '-':
      return 4;
    case '*':
    case '/':
    case '%':
    case 'atan2':
      return 5;
    case '^':
      return 6;
    default:
      return operator satisfies never;
  }
}
/** A sign binds as multiplication does. */
export const SIGN_PRECEDENCE = 5;
