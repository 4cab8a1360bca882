/** Labels of a series: names and values by turns (`[name, value, name, value]`), names ascending, none empty-valued. The metric's name is `__name__`. */
export type Labels = readonly string[];

export const METRIC_NAME = '__name__';

export const noLabels: Labels = [];

const byName = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Labels with an empty value are the same as labels that are not there. */
export function labelsFrom(entries: Iterable<readonly [name: string, value: string]>): Labels {
  const sorted = [...entries].filter(([, value]) => value !== '').sort(([a], [b]) => byName(a, b));
  return sorted.flat();
}

export const labelsOf = (record: Readonly<Record<string, string>>): Labels => labelsFrom(Object.entries(record));

/** The value of a label; '' where it is not there. */
export function labelValue(labels: Labels, name: string): string {
  for (let at = 0; at < labels.length; at += 2) if (labels[at] === name) return labels[at + 1] ?? '';
  return '';
}

export function* labelPairs(labels: Labels): Iterable<readonly [name: string, value: string]> {
  for (let at = 0; at < labels.length; at += 2) yield [labels[at] ?? '', labels[at + 1] ?? ''];
}

/** The same text for the same labels. */
export const labelsKey = (labels: Labels): string => labels.join('\u{1}');

function filtered(labels: Labels, keep: (name: string) => boolean): Labels {
  const kept: string[] = [];
  for (let at = 0; at < labels.length; at += 2) {
    const name = labels[at] ?? '';
    if (keep(name)) kept.push(name, labels[at + 1] ?? '');
  }
  return kept.length === labels.length ? labels : kept;
}

export const withoutLabels = (labels: Labels, names: ReadonlySet<string>): Labels =>
  filtered(labels, (name) => !names.has(name));

export const onlyLabels = (labels: Labels, names: ReadonlySet<string>): Labels =>
  filtered(labels, (name) => names.has(name));

const nameOnly = new Set([METRIC_NAME]);
export const withoutName = (labels: Labels): Labels => withoutLabels(labels, nameOnly);

/** With a label set to a value, or removed where the value is ''. */
export function withLabel(labels: Labels, name: string, value: string): Labels {
  const entries = new Map(labelPairs(labels));
  entries.set(name, value);
  return labelsFrom(entries);
}

export const labelsRecord = (labels: Labels): Record<string, string> => Object.fromEntries(labelPairs(labels));

/** As PromQL writes it: `name{a="b"}`. */
export function labelsText(labels: Labels): string {
  const inner = [...labelPairs(withoutName(labels))].map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const name = labelValue(labels, METRIC_NAME);
  return inner.length === 0 && name !== '' ? name : `${name}{${inner.join(', ')}}`;
}

export const isLabelName = (name: string): boolean => /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name);
export const isMetricName = (name: string): boolean => /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
