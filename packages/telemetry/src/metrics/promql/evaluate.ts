import { isLabelName, type Labels, labelsFrom, labelsKey, METRIC_NAME, noLabels, withoutName } from '../labels.ts';
import { remembered } from '../remembered.ts';
import type { Matcher } from '../storage/matcher.ts';
import type { MetricsStore } from '../storage/store.ts';
import { Grouping } from './aggregate.ts';
import type {
  AggregateNode,
  BinaryNode,
  CallNode,
  MatrixSelectorNode,
  Node,
  SubqueryNode,
  VectorSelectorNode,
} from './ast.ts';
import { BinaryOperation, scalarOperation } from './binary.ts';
import type { Budget } from './budget.ts';
import { EvaluationError } from './errors.ts';
import { numberFunctions, quantileOf, sortedNumbers, timeFunctions } from './functions/arithmetic.ts';
import { histogramQuantiles } from './functions/histogram.ts';
import { labelJoiner, labelReplacer } from './functions/label-functions.ts';
import { type RangeFunction, rangeFunctions, regression } from './functions/ranges.ts';
import { type QueryRange, referenceTime, Selection, selectorRanges } from './selection.ts';
import type { MatrixValue, Sample, Value } from './values.ts';

/** Prometheus' defaults. */
export const LOOKBACK = 300_000;
export const EVALUATION_INTERVAL = 60_000;

export interface EvaluationSettings {
  /** Milliseconds that a sample counts for after its time. */
  readonly lookback: number;
  /** Step of subqueries that name none, in milliseconds. */
  readonly interval: number;
}

/** Range functions that keep the name of the metric. */
const keepsName = new Set(['last_over_time', 'first_over_time']);

/**
 * Evaluates one expression, at as many times as asked. What does not change from one time to the next (samples, groups, names) is found once and kept
 * with the node that it belongs to.
 */
export class Evaluator {
  readonly #range: QueryRange;
  readonly #settings: EvaluationSettings;
  readonly #budget: Budget;
  readonly #selections = new Map<VectorSelectorNode, Selection>();
  readonly #groupings = new Map<AggregateNode, Grouping>();
  readonly #operations = new Map<BinaryNode, BinaryOperation>();
  readonly #subqueries = new Map<SubqueryNode, Map<number, readonly Sample[]>>();
  readonly #histograms = new Map<CallNode, Map<Labels, Labels>>();
  readonly #changed = new Map<
    CallNode,
    { readonly change: (labels: Labels) => Labels; readonly known: Map<Labels, Labels> }
  >();
  readonly #unnamed = new Map<Labels, Labels>();

  constructor(store: MetricsStore, root: Node, range: QueryRange, settings: EvaluationSettings, budget: Budget) {
    this.#range = range;
    this.#settings = settings;
    this.#budget = budget;
    for (const [selector, [from, to]] of selectorRanges(root, range, settings.lookback))
      this.#selections.set(selector, new Selection(store, selector, from, to, budget));
  }

  /** The value at a time (milliseconds). Raises EvaluationError and QueryLimitError. */
  at(node: Node, time: number): Value {
    switch (node.kind) {
      case 'number':
        return { type: 'scalar', value: node.value };
      case 'string':
        return { type: 'string', value: node.value };
      case 'vectorSelector':
        return this.#vector(this.#instant(node, time, false));
      case 'matrixSelector':
        return this.#matrix(node, time);
      case 'subquery':
        return this.#subquery(node, time);
      case 'minus': {
        const value = this.at(node.inner, time);
        if (value.type === 'scalar') return { type: 'scalar', value: -value.value };
        return this.#unique(
          this.#samples(value).map(({ labels, value: v }) => ({ labels: this.#noName(labels), value: -v })),
        );
      }
      case 'call':
        return this.#call(node, time);
      case 'aggregate':
        return this.#aggregate(node, time);
      case 'binary':
        return this.#binary(node, time);
      default:
        return node satisfies never;
    }
  }

  #vector(samples: readonly Sample[]): Value {
    this.#budget.samples(samples.length);
    return { type: 'vector', samples };
  }

  #samples(value: Value): readonly Sample[] {
    if (value.type !== 'vector') throw new EvaluationError(`an instant vector is needed, not a ${value.type}`);
    return value.samples;
  }

  #number(value: Value | undefined): number {
    if (value?.type !== 'scalar') throw new EvaluationError(`a number is needed, not a ${value?.type ?? 'nothing'}`);
    return value.value;
  }

  #noName(labels: Labels): Labels {
    const found = remembered(this.#unnamed, labels, () => withoutName(labels));
    return found;
  }

  /** Series that were told apart by their names only. */
  #unique(samples: readonly Sample[]): Value {
    if (samples.length > 1 && new Set(samples.map(({ labels }) => labelsKey(labels))).size < samples.length)
      throw new EvaluationError('vector cannot contain metrics with the same labelset');
    return this.#vector(samples);
  }

  #instant(node: VectorSelectorNode, time: number, stamp: boolean): Sample[] {
    const at = referenceTime(node, time, this.#range);
    return this.#selections.get(node)?.at(at, this.#settings.lookback, stamp) ?? [];
  }

  #matrix(node: MatrixSelectorNode, time: number): MatrixValue {
    const end = referenceTime(node.selector, time, this.#range);
    const start = end - node.range;
    this.#budget.check();
    return { type: 'matrix', series: this.#selections.get(node.selector)?.between(start, end) ?? [], start, end };
  }

  #subquery(node: SubqueryNode, time: number): MatrixValue {
    const step = node.step ?? this.#settings.interval;
    const end = referenceTime(node, time, this.#range);
    const start = end - node.range;
    const known = remembered(this.#subqueries, node, () => new Map());
    const series = new Map<string, { readonly labels: Labels; readonly times: number[]; readonly values: number[] }>();
    let first = step * Math.trunc(start / step);
    if (first < start) first += step;
    for (let at = first; at <= end; at += step) {
      let samples = known.get(at);
      if (!samples) {
        const value = this.at(node.inner, at);
        samples = value.type === 'scalar' ? [{ labels: noLabels, value: value.value }] : this.#samples(value);
        known.set(at, samples);
      }
      this.#budget.samples(samples.length);
      for (const { labels, value } of samples) {
        const key = labelsKey(labels);
        const found = remembered(series, key, () => ({ labels, times: [], values: [] }));
        found.times.push(at);
        found.values.push(value);
      }
    }
    for (const at of known.keys()) if (at < first) known.delete(at);
    return {
      type: 'matrix',
      series: [...series.values()].map(({ labels, times, values }) => ({
        labels,
        times: Float64Array.from(times),
        values: Float64Array.from(values),
      })),
      start,
      end,
    };
  }

  #aggregate(node: AggregateNode, time: number): Value {
    const grouping = remembered(this.#groupings, node, () => new Grouping(node));
    const parameter = node.parameter && this.at(node.parameter, time);
    if (node.operator === 'count_values' && parameter?.type === 'string' && !isLabelName(parameter.value))
      throw new EvaluationError(`invalid label name ${JSON.stringify(parameter.value)}`);
    const given = parameter?.type === 'scalar' || parameter?.type === 'string' ? parameter.value : undefined;
    return this.#vector(grouping.aggregate(this.#samples(this.at(node.inner, time)), given));
  }

  #binary(node: BinaryNode, time: number): Value {
    const left = this.at(node.left, time);
    const right = this.at(node.right, time);
    if (left.type === 'scalar' && right.type === 'scalar')
      return { type: 'scalar', value: scalarOperation(node.operator, left.value, right.value) };
    const operation = remembered(this.#operations, node, () => new BinaryOperation(node));
    if (left.type === 'scalar') return this.#unique(operation.withScalar(this.#samples(right), left.value, true));
    if (right.type === 'scalar') return this.#unique(operation.withScalar(this.#samples(left), right.value, false));
    return this.#vector(operation.vectors(this.#samples(left), this.#samples(right)));
  }

  #call(node: CallNode, time: number): Value {
    const { name, args } = node;
    const [first] = args;
    const arg = (index: number): Value => {
      const found = args[index];
      if (!found) throw new EvaluationError(`${name} lacks an argument`);
      return this.at(found, time);
    };
    const onNumbers = (change: (value: number) => number): Value =>
      this.#unique(
        this.#samples(arg(0)).map(({ labels, value }) => ({ labels: this.#noName(labels), value: change(value) })),
      );

    const plain = numberFunctions[name];
    if (plain) return onNumbers(plain);
    const part = timeFunctions[name];
    if (part)
      return first === undefined ? this.#vector([{ labels: noLabels, value: part(time / 1000) }]) : onNumbers(part);
    const overRange = rangeFunctions[name];
    if (overRange) return this.#overRange(name, arg(0), overRange);

    switch (name) {
      case 'absent':
        return this.#absent(first, this.#samples(arg(0)).length === 0);
      case 'absent_over_time':
        return this.#absent(first, this.#ranges(arg(0)).series.length === 0);
      case 'quantile_over_time': {
        const q = this.#number(arg(0));
        return this.#overRange(name, arg(1), ({ values }) => quantileOf(q, sortedNumbers(values)));
      }
      case 'predict_linear': {
        const seconds = this.#number(arg(1));
        return this.#overRange(name, arg(0), (series) => {
          if (series.times.length < 2) return undefined;
          const { slope, intercept } = regression(series, time);
          return slope * seconds + intercept;
        });
      }
      case 'clamp': {
        const [low, high] = [this.#number(arg(1)), this.#number(arg(2))];
        return high < low ? this.#vector([]) : onNumbers((value) => Math.max(low, Math.min(high, value)));
      }
      case 'clamp_max': {
        const high = this.#number(arg(1));
        return onNumbers((value) => Math.min(high, value));
      }
      case 'clamp_min': {
        const low = this.#number(arg(1));
        return onNumbers((value) => Math.max(low, value));
      }
      case 'round': {
        // Its inverse, since that is exact for the usual 0.1 and 0.01.
        const inverse = 1 / (args.length > 1 ? this.#number(arg(1)) : 1);
        return onNumbers((value) => Math.floor(value * inverse + 0.5) / inverse);
      }
      case 'histogram_quantile': {
        const known = remembered(this.#histograms, node, () => new Map());
        return this.#vector(histogramQuantiles(this.#number(arg(0)), this.#samples(arg(1)), known));
      }
      case 'label_replace':
      case 'label_join':
        return this.#relabelled(node, time);
      case 'pi':
        return { type: 'scalar', value: Math.PI };
      case 'time':
        return { type: 'scalar', value: time / 1000 };
      case 'timestamp':
        return first?.kind === 'vectorSelector'
          ? this.#unique(
              this.#instant(first, time, true).map(({ labels, value }) => ({ labels: this.#noName(labels), value })),
            )
          : onNumbers(() => time / 1000);
      case 'vector':
        return this.#vector([{ labels: noLabels, value: this.#number(arg(0)) }]);
      case 'scalar': {
        const samples = this.#samples(arg(0));
        return { type: 'scalar', value: samples.length === 1 ? (samples[0]?.value ?? Number.NaN) : Number.NaN };
      }
      case 'sort':
      case 'sort_desc': {
        const sign = name === 'sort' ? 1 : -1;
        const sorted = [...this.#samples(arg(0))].sort((a, b) => {
          const numbers = Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value));
          return numbers !== 0 ? numbers : a.value === b.value ? 0 : a.value < b.value ? -sign : sign;
        });
        return this.#vector(sorted);
      }
      default:
        throw new EvaluationError(`the function ${name} is not supported by this store`);
    }
  }

  #ranges(value: Value): MatrixValue {
    if (value.type !== 'matrix') throw new EvaluationError(`a range vector is needed, not a ${value.type}`);
    return value;
  }

  #overRange(name: string, value: Value, of: RangeFunction): Value {
    const { series, start, end } = this.#ranges(value);
    const samples: Sample[] = [];
    for (const one of series) {
      this.#budget.samples(1);
      const found = of(one, { start, end });
      if (found !== undefined)
        samples.push({ labels: keepsName.has(name) ? one.labels : this.#noName(one.labels), value: found });
    }
    return this.#unique(samples);
  }

  #absent(arg: Node | undefined, is: boolean): Value {
    return this.#vector(is ? [{ labels: arg ? labelsOfAbsent(arg) : noLabels, value: 1 }] : []);
  }

  #relabelled(node: CallNode, time: number): Value {
    const [vector, ...rest] = node.args;
    if (!vector) throw new EvaluationError(`${node.name} lacks an argument`);
    let memo = this.#changed.get(node);
    if (!memo) {
      const texts = rest.map((arg) => {
        const value = this.at(arg, time);
        if (value.type !== 'string') throw new EvaluationError(`${node.name} takes strings`);
        return value.value;
      });
      const [a = '', b = '', c = '', d = ''] = texts;
      const change = node.name === 'label_replace' ? labelReplacer(a, b, c, d) : labelJoiner(a, b, texts.slice(2));
      memo = { change, known: new Map() };
      this.#changed.set(node, memo);
    }
    const { change, known } = memo;
    const samples = this.#samples(this.at(vector, time)).map(({ labels, value }) => {
      const changed = remembered(known, labels, () => change(labels));
      return { labels: changed, value };
    });
    return this.#unique(samples);
  }
}

/** What is known of series that are not there: the labels that were asked for by one value. */
function labelsOfAbsent(arg: Node): Labels {
  const matchers: readonly Matcher[] =
    arg.kind === 'vectorSelector' ? arg.matchers : arg.kind === 'matrixSelector' ? arg.selector.matchers : [];
  const times = new Map<string, number>();
  for (const { name } of matchers) times.set(name, (times.get(name) ?? 0) + 1);
  return labelsFrom(
    matchers
      .filter(({ name, operator }) => operator === '=' && name !== METRIC_NAME && times.get(name) === 1)
      .map(({ name, value }) => [name, value] as const),
  );
}
