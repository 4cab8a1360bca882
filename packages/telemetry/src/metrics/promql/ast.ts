import type { Matcher } from '../storage/matcher.ts';

/** What an expression evaluates to. */
export type ValueType = 'scalar' | 'vector' | 'matrix' | 'string';

/** `@`: a time in milliseconds, or the beginning or end of the asked range. */
export type AtTime = number | 'start' | 'end';

export interface NumberNode {
  readonly kind: 'number';
  readonly value: number;
}
export interface StringNode {
  readonly kind: 'string';
  readonly value: string;
}
/** Durations in milliseconds. */
export interface Shift {
  readonly offset: number;
  readonly at: AtTime | undefined;
}
export interface VectorSelectorNode extends Shift {
  readonly kind: 'vectorSelector';
  readonly matchers: readonly Matcher[];
}
export interface MatrixSelectorNode {
  readonly kind: 'matrixSelector';
  readonly selector: VectorSelectorNode;
  readonly range: number;
}
export interface SubqueryNode extends Shift {
  readonly kind: 'subquery';
  readonly inner: Node;
  readonly range: number;
  /** Undefined: the evaluation interval. */
  readonly step: number | undefined;
}
export interface UnaryNode {
  readonly kind: 'minus';
  readonly inner: Node;
}
export interface CallNode {
  readonly kind: 'call';
  readonly name: string;
  readonly args: readonly Node[];
}

export const aggregators = [
  'sum',
  'avg',
  'min',
  'max',
  'count',
  'group',
  'stddev',
  'stdvar',
  'topk',
  'bottomk',
  'quantile',
  'count_values',
] as const;
export type Aggregator = (typeof aggregators)[number];

export interface AggregateNode {
  readonly kind: 'aggregate';
  readonly operator: Aggregator;
  readonly inner: Node;
  readonly parameter: Node | undefined;
  readonly without: boolean;
  readonly labels: readonly string[];
}

export const arithmetic = ['+', '-', '*', '/', '%', '^', 'atan2'] as const;
export const comparisons = ['==', '!=', '>', '<', '>=', '<='] as const;
export const setOperators = ['and', 'or', 'unless'] as const;
export type ArithmeticOperator = (typeof arithmetic)[number];
export type ComparisonOperator = (typeof comparisons)[number];
export type SetOperator = (typeof setOperators)[number];
export type BinaryOperator = ArithmeticOperator | ComparisonOperator | SetOperator;

/** How series of two vectors find each other. */
export interface Matching {
  readonly on: boolean;
  readonly labels: readonly string[];
  readonly cardinality: 'one-to-one' | 'many-to-one' | 'one-to-many' | 'many-to-many';
  /** Labels taken over from the side of one. */
  readonly include: readonly string[];
}

export interface BinaryNode {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly left: Node;
  readonly right: Node;
  readonly bool: boolean;
  readonly matching: Matching;
}

export type Node =
  | NumberNode
  | StringNode
  | VectorSelectorNode
  | MatrixSelectorNode
  | SubqueryNode
  | UnaryNode
  | CallNode
  | AggregateNode
  | BinaryNode;
