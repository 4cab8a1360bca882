import type { Variable } from './model.ts';

/** The chosen values by name of variable. */
export type Choices = ReadonlyMap<string, readonly string[]>;

/** What `All` is in an address and in a dashboard's file. */
export const allChoice = '$__all';

const escaped = (value: string): string => value.replace(/[.*+?^${}()|[\]\\]/g, '\\\\$&');

/** The text that stands for a variable in PromQL: one value as it is, several as alternatives of a regular expression. */
function textFor(
  variable: Variable | undefined,
  chosen: readonly string[],
  options: readonly string[],
  format: string,
): string {
  const all = chosen.length === 0 ? variable?.includeAll === true : chosen.includes(allChoice);
  if (all && variable?.allValue) return variable.allValue;
  const values = all ? options : chosen;
  if (format === 'csv') return values.join(',');
  if (format === 'raw' || format === 'text') return values.join('|');
  if (format === 'pipe') return values.join('|');
  if (variable?.multi || variable?.includeAll || format === 'regex') {
    if (values.length === 0) return all ? '.*' : '';
    return values.length === 1 ? escaped(values[0] ?? '') : `(${values.map(escaped).join('|')})`;
  }
  return values[0] ?? '';
}

/** The time that a panel shows (milliseconds since 1970) and the distance of its points (seconds). */
export interface Window {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/** Seconds between proxies' scrapes, as our Prometheus has them. */
const scrape = 15;

/** A query with variables replaced: `$name`, `${name}`, `${name:format}`, `[[name]]`, and Grafana's own `$__interval`, `$__rate_interval`, `$__range`. */
export function interpolate(
  text: string,
  variables: readonly Variable[],
  choices: Choices,
  options: ReadonlyMap<string, readonly string[]>,
  window: Window,
): string {
  const range = Math.max(1, Math.round((window.to - window.from) / 1000));
  const own: Readonly<Record<string, string>> = {
    __interval: `${window.step}s`,
    __interval_ms: String(window.step * 1000),
    __rate_interval: `${Math.max(scrape * 4, window.step + scrape)}s`,
    __range: `${range}s`,
    __range_s: String(range),
    __range_ms: String(range * 1000),
  };
  return text.replace(
    /\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]|\$(\w+)/g,
    (whole, braced, format, bracketed, otherFormat, bare) => {
      const name = String(braced ?? bracketed ?? bare);
      const known = own[name];
      if (known !== undefined) return known;
      const variable = variables.find((each) => each.name === name);
      if (!variable && !choices.has(name)) return whole;
      return textFor(variable, choices.get(name) ?? [], options.get(name) ?? [], String(format ?? otherFormat ?? ''));
    },
  );
}

/** What a query of a variable asks for. */
export type VariableQuery =
  | { readonly kind: 'labelValues'; readonly metric: string; readonly label: string }
  | { readonly kind: 'queryResult'; readonly expr: string }
  | { readonly kind: 'unknown' };

export function readVariableQuery(query: string): VariableQuery {
  const labels = /^\s*label_values\(\s*(?:([\s\S]+)\s*,)?\s*([a-zA-Z_]\w*)\s*\)\s*$/.exec(query);
  if (labels) return { kind: 'labelValues', metric: (labels[1] ?? '').trim(), label: labels[2] ?? '' };
  const result = /^\s*query_result\(([\s\S]+)\)\s*$/.exec(query);
  if (result) return { kind: 'queryResult', expr: result[1] ?? '' };
  return { kind: 'unknown' };
}

/** What `regex` of a variable leaves of its values: those that fit, or their first group. */
export function applyRegex(values: readonly string[], regex: string): readonly string[] {
  if (regex === '') return values;
  const [, body = regex, flags = ''] = /^\/([\s\S]*)\/(\w*)$/.exec(regex) ?? [];
  let expression: RegExp;
  try {
    expression = new RegExp(body, flags.replace('g', ''));
  } catch {
    return values;
  }
  return values.flatMap((value) => {
    const found = expression.exec(value);
    return found ? [found.groups?.value ?? found[1] ?? value] : [];
  });
}
