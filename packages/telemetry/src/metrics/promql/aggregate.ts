import { type Labels, labelsKey, METRIC_NAME, onlyLabels, withLabel, withoutLabels } from '../labels.ts';
import type { AggregateNode } from './ast.ts';
import { EvaluationError } from './errors.ts';
import { quantileOf, RunningMean, sortedNumbers, varianceOf } from './functions/arithmetic.ts';
import { numberText, type Sample } from './values.ts';

interface Group {
  readonly labels: Labels;
  readonly samples: Sample[];
}

/** Groups the series of an aggregation; remembers the group of labels that it has seen, since the steps of a range bring the same ones. */
export class Grouping {
  readonly #node: AggregateNode;
  readonly #names: ReadonlySet<string>;
  readonly #known = new Map<Labels, { readonly key: string; readonly labels: Labels }>();

  constructor(node: AggregateNode) {
    this.#node = node;
    this.#names = new Set(node.without ? [...node.labels, METRIC_NAME] : node.labels);
  }

  #groupOf(labels: Labels): { readonly key: string; readonly labels: Labels } {
    let found = this.#known.get(labels);
    if (!found) {
      const kept = this.#node.without ? withoutLabels(labels, this.#names) : onlyLabels(labels, this.#names);
      found = { key: labelsKey(kept), labels: kept };
      this.#known.set(labels, found);
    }
    return found;
  }

  /** `parameter`: the number of topk, bottomk and quantile, the label of count_values. Raises EvaluationError. */
  aggregate(samples: readonly Sample[], parameter: number | string | undefined): Sample[] {
    const groups = new Map<string, Group>();
    for (const sample of samples) {
      const { key, labels } = this.#groupOf(sample.labels);
      const group = groups.get(key);
      if (group) group.samples.push(sample);
      else groups.set(key, { labels, samples: [sample] });
    }
    return [...groups.values()].flatMap((group) => this.#result(group, parameter));
  }

  #result({ labels, samples }: Group, parameter: number | string | undefined): Sample[] {
    const one = (value: number): Sample[] => [{ labels, value }];
    switch (this.#node.operator) {
      case 'sum':
        return one(samples.reduce((sum, { value }) => sum + value, 0));
      case 'avg': {
        const mean = new RunningMean();
        for (const { value } of samples) mean.add(value);
        return one(mean.value);
      }
      case 'min':
        return one(
          samples.reduce((best, { value }) => (value < best || Number.isNaN(best) ? value : best), Number.NaN),
        );
      case 'max':
        return one(
          samples.reduce((best, { value }) => (value > best || Number.isNaN(best) ? value : best), Number.NaN),
        );
      case 'count':
        return one(samples.length);
      case 'group':
        return one(1);
      case 'stdvar':
        return one(varianceOf(samples.map(({ value }) => value)));
      case 'stddev':
        return one(Math.sqrt(varianceOf(samples.map(({ value }) => value))));
      case 'quantile':
        return one(quantileOf(Number(parameter), sortedNumbers(samples.map(({ value }) => value))));
      case 'topk':
        return best(samples, Number(parameter), (a, b) => b - a);
      case 'bottomk':
        return best(samples, Number(parameter), (a, b) => a - b);
      case 'count_values': {
        const counts = new Map<string, number>();
        for (const { value } of samples) counts.set(numberText(value), (counts.get(numberText(value)) ?? 0) + 1);
        return [...counts].map(([text, value]) => ({ labels: withLabel(labels, String(parameter), text), value }));
      }
      default:
        return this.#node.operator satisfies never;
    }
  }
}

/** The first `count` samples in this order, what is no number last. */
function best(samples: readonly Sample[], count: number, order: (a: number, b: number) => number): Sample[] {
  if (Number.isNaN(count) || Math.abs(count) >= 2 ** 63)
    throw new EvaluationError(`scalar value ${numberText(count)} overflows int64`);
  if (count < 1) return [];
  return [...samples]
    .sort((a, b) => {
      if (Number.isNaN(a.value) || Number.isNaN(b.value))
        return Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value));
      return a.value === b.value ? 0 : order(a.value, b.value);
    })
    .slice(0, Math.trunc(count));
}
