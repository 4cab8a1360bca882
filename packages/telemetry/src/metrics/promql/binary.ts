import {
  type Labels,
  labelsKey,
  labelsText,
  labelValue,
  METRIC_NAME,
  onlyLabels,
  withLabel,
  withoutLabels,
  withoutName,
} from '../labels.ts';
import { remembered } from '../remembered.ts';
import { type BinaryNode, type BinaryOperator, comparisons } from './ast.ts';
import { EvaluationError } from './errors.ts';
import type { Sample } from './values.ts';

/** Go's math.Pow, which knows 1 to any power. */
function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && Math.abs(exponent) === Number.POSITIVE_INFINITY)) return 1;
  return base ** exponent;
}

/** Result of an operator on two numbers; comparisons give the left number and whether it holds. */
function operate(operator: BinaryOperator, left: number, right: number): readonly [value: number, holds: boolean] {
  switch (operator) {
    case '+':
      return [left + right, true];
    case '-':
      return [left - right, true];
    case '*':
      return [left * right, true];
    case '/':
      return [left / right, true];
    case '%':
      return [left % right, true];
    case '^':
      return [power(left, right), true];
    case 'atan2':
      return [Math.atan2(left, right), true];
    case '==':
      return [left, left === right];
    case '!=':
      return [left, left !== right];
    case '>':
      return [left, left > right];
    case '<':
      return [left, left < right];
    case '>=':
      return [left, left >= right];
    case '<=':
      return [left, left <= right];
    case 'and':
    case 'or':
    case 'unless':
      throw new EvaluationError(`${operator} does not take numbers`);
    default:
      return operator satisfies never;
  }
}

export function scalarOperation(operator: BinaryOperator, left: number, right: number): number {
  const [value, holds] = operate(operator, left, right);
  return (comparisons as readonly string[]).includes(operator) ? Number(holds) : value;
}

/** One binary operator of a query; remembers what it has found about labels. */
export class BinaryOperation {
  readonly #node: BinaryNode;
  readonly #matched: ReadonlySet<string>;
  readonly #keepsName: boolean;
  readonly #signatures = new Map<Labels, string>();
  readonly #unnamed = new Map<Labels, Labels>();
  readonly #results = new Map<Labels, Map<Labels, Labels>>();

  constructor(node: BinaryNode) {
    this.#node = node;
    const { labels, on } = node.matching;
    this.#matched = new Set(on ? labels : [...labels, METRIC_NAME]);
    this.#keepsName = (comparisons as readonly string[]).includes(node.operator) && !node.bool;
  }

  #signature(labels: Labels): string {
    let found = this.#signatures.get(labels);
    if (found === undefined) {
      const kept = this.#node.matching.on ? onlyLabels(labels, this.#matched) : withoutLabels(labels, this.#matched);
      found = labelsKey(kept);
      this.#signatures.set(labels, found);
    }
    return found;
  }

  #withoutName(labels: Labels): Labels {
    const found = remembered(this.#unnamed, labels, () => withoutName(labels));
    return found;
  }

  /** A vector and a number. `swapped`: the number is on the left. */
  withScalar(samples: readonly Sample[], scalar: number, swapped: boolean): Sample[] {
    const { operator, bool } = this.#node;
    const result: Sample[] = [];
    for (const { labels, value } of samples) {
      const [found, holds] = swapped ? operate(operator, scalar, value) : operate(operator, value, scalar);
      const compares = (comparisons as readonly string[]).includes(operator);
      if (!bool && !holds) continue;
      result.push({
        labels: this.#keepsName ? labels : this.#withoutName(labels),
        // A comparison filters: what stays is the value of the vector.
        value: bool ? Number(holds) : compares ? value : found,
      });
    }
    return result;
  }

  /** Two vectors. Raises EvaluationError where the matching is not what the operator says. */
  vectors(left: readonly Sample[], right: readonly Sample[]): Sample[] {
    const { operator, matching } = this.#node;
    switch (operator) {
      case 'and': {
        const there = new Set(right.map(({ labels }) => this.#signature(labels)));
        return left.filter(({ labels }) => there.has(this.#signature(labels)));
      }
      case 'unless': {
        const there = new Set(right.map(({ labels }) => this.#signature(labels)));
        return left.filter(({ labels }) => !there.has(this.#signature(labels)));
      }
      case 'or': {
        const there = new Set(left.map(({ labels }) => this.#signature(labels)));
        return [...left, ...right.filter(({ labels }) => !there.has(this.#signature(labels)))];
      }
      default:
        return matching.cardinality === 'one-to-many' ? this.#join(right, left, true) : this.#join(left, right, false);
    }
  }

  /** `many` are the series that each find one of `ones`; `swapped`: the many stand right of the operator. */
  #join(many: readonly Sample[], ones: readonly Sample[], swapped: boolean): Sample[] {
    const { operator, bool, matching } = this.#node;
    if (many.length === 0 || ones.length === 0) return [];
    const bySignature = new Map<string, Sample>();
    for (const sample of ones) {
      const signature = this.#signature(sample.labels);
      const other = bySignature.get(signature);
      if (other)
        throw new EvaluationError(
          `found duplicate series for the match group on the ${swapped ? 'left' : 'right'} hand-side of the operation: [${labelsText(other.labels)}, ${labelsText(sample.labels)}]; many-to-many matching not allowed: matching labels must be unique on one side`,
        );
      bySignature.set(signature, sample);
    }
    const taken = new Set<string>();
    const result: Sample[] = [];
    for (const sample of many) {
      const signature = this.#signature(sample.labels);
      const one = bySignature.get(signature);
      if (!one) continue;
      const [value, holds] = swapped
        ? operate(operator, one.value, sample.value)
        : operate(operator, sample.value, one.value);
      if (!bool && !holds) continue;
      const labels = this.#resultLabels(sample.labels, one.labels);
      const unique = matching.cardinality === 'one-to-one' ? signature : labelsKey(labels);
      if (taken.has(unique))
        throw new EvaluationError(
          matching.cardinality === 'one-to-one'
            ? 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)'
            : 'multiple matches for labels: grouping labels must ensure unique matches',
        );
      taken.add(unique);
      result.push({ labels, value: bool ? Number(holds) : value });
    }
    return result;
  }

  #resultLabels(many: Labels, one: Labels): Labels {
    const known = remembered(this.#results, many, () => new Map());
    const before = known.get(one);
    if (before) return before;
    const { matching } = this.#node;
    let labels = this.#keepsName ? many : withoutName(many);
    if (matching.cardinality === 'one-to-one') {
      const names = new Set(matching.labels);
      labels = matching.on ? onlyLabels(labels, names) : withoutLabels(labels, names);
    }
    for (const name of matching.include) labels = withLabel(labels, name, labelValue(one, name));
    known.set(one, labels);
    return labels;
  }
}
