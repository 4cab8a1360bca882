import type { Labels } from '../labels.ts';
import { labelsFrom, METRIC_NAME } from '../labels.ts';

/** What an endpoint tells of a metric beside its samples. */
export interface MetricMetadata {
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}

/** One line with a sample. */
export interface ExposedSample {
  /** Name and labels as they stand in the text: the same text is the same series. */
  readonly series: string;
  readonly value: number;
  /** Milliseconds; undefined: the time of the scrape. */
  readonly time: number | undefined;
}

/** A line that is not of the format; `line` counts from 1. */
export class ExpositionError extends Error {
  readonly line: number;
  constructor(line: number, message: string) {
    super(`line ${line} of the metrics: ${message}`);
    this.name = 'ExpositionError';
    this.line = line;
  }
}

/** The number that the formats allow: as Go reads it. */
function numberOf(text: string): number | undefined {
  switch (text.toLowerCase()) {
    case 'nan':
      return Number.NaN;
    case 'inf':
    case '+inf':
    case 'infinity':
    case '+infinity':
      return Number.POSITIVE_INFINITY;
    case '-inf':
    case '-infinity':
      return Number.NEGATIVE_INFINITY;
    default: {
      const value = text === '' ? Number.NaN : Number(text);
      return Number.isNaN(value) ? undefined : value;
    }
  }
}

/** Where the labels of a line end, after their brace; braces may stand in values. */
function endOfLabels(line: string, open: number): number {
  let quoted = false;
  for (let at = open + 1; at < line.length; at++) {
    const sign = line[at];
    if (quoted && sign === '\\') at++;
    else if (sign === '"') quoted = !quoted;
    else if (sign === '}' && !quoted) return at + 1;
  }
  return -1;
}

/**
 * Reads the text format of Prometheus (0.0.4) or OpenMetrics 1.0, whose times are in seconds and whose exemplars are left out. Calls `onSample` for each
 * sample and `onMetadata` for each metric that tells its type or help. Raises ExpositionError.
 */
export function readExposition(
  text: string,
  openMetrics: boolean,
  onSample: (sample: ExposedSample) => void,
  onMetadata: (name: string, metadata: Partial<MetricMetadata>) => void,
): void {
  let number = 0;
  let ended = false;
  for (let start = 0; start < text.length; ) {
    let end = text.indexOf('\n', start);
    if (end < 0) end = text.length;
    const line = text.slice(start, end).trim();
    start = end + 1;
    number++;
    if (line === '') continue;
    if (ended) throw new ExpositionError(number, 'there is something after # EOF');
    if (line.startsWith('#')) {
      if (line === '# EOF') ended = true;
      else readComment(line, onMetadata);
      continue;
    }
    onSample(readSample(line, number, openMetrics));
  }
  if (openMetrics && !ended) throw new ExpositionError(number, 'the text does not end with # EOF');
}

function readComment(line: string, onMetadata: (name: string, metadata: Partial<MetricMetadata>) => void): void {
  const found = /^#\s*(HELP|TYPE|UNIT)\s+(\S+)\s*(.*)$/.exec(line);
  if (!found) return;
  const [, kind, name = '', rest = ''] = found;
  if (kind === 'HELP')
    onMetadata(name, { help: rest.replace(/\\(\\|n|")/g, (_, sign) => (sign === 'n' ? '\n' : sign)) });
  else onMetadata(name, kind === 'TYPE' ? { type: rest } : { unit: rest });
}

function readSample(line: string, number: number, openMetrics: boolean): ExposedSample {
  const open = line.indexOf('{');
  const space = line.search(/\s/);
  const braces = open >= 0 && (space < 0 || open < space || line.slice(space, open).trim() === '');
  const end = braces ? endOfLabels(line, open) : space;
  if (end <= 0) throw new ExpositionError(number, braces ? 'the labels do not end' : 'there is no value');
  let rest = line.slice(end).trim();
  if (openMetrics) {
    const exemplar = rest.indexOf(' # ');
    if (exemplar >= 0) rest = rest.slice(0, exemplar);
  }
  const [valueText = '', timeText, ...more] = rest.split(/\s+/);
  const value = numberOf(valueText);
  if (value === undefined) throw new ExpositionError(number, `${JSON.stringify(valueText)} is not a number`);
  if (more.length > 0) throw new ExpositionError(number, 'there is something after the time');
  let time: number | undefined;
  if (timeText !== undefined) {
    const given = Number(timeText);
    if (!Number.isFinite(given)) throw new ExpositionError(number, `${JSON.stringify(timeText)} is not a time`);
    time = openMetrics ? Math.round(given * 1000) : given;
  }
  return { series: line.slice(0, end), value, time };
}

/** The labels of a series as it stands in the text. Raises ExpositionError (without a line: 0). */
export function seriesLabels(series: string): Labels {
  const open = series.indexOf('{');
  const name = (open < 0 ? series : series.slice(0, open)).trim();
  const entries: [string, string][] = name === '' ? [] : [[METRIC_NAME, name]];
  if (open >= 0) {
    const inner = series.slice(open + 1, -1);
    const label = /\s*(?:"((?:[^"\\]|\\.)*)"|([a-zA-Z_][a-zA-Z0-9_]*))\s*(?:=\s*"((?:[^"\\]|\\.)*)")?\s*(,|$)/gsy;
    while (label.lastIndex < inner.length && inner.slice(label.lastIndex).trim() !== '') {
      const found = label.exec(inner);
      if (!found) throw new ExpositionError(0, `the labels of ${series} cannot be read`);
      const [, quoted, plain, value] = found;
      const key = quoted === undefined ? (plain ?? '') : unescaped(quoted);
      if (value === undefined && quoted === undefined)
        throw new ExpositionError(0, `label ${key} of ${series} has no value`);
      // A quoted name without value is that of the metric.
      entries.push(value === undefined ? [METRIC_NAME, key] : [key, unescaped(value)]);
    }
  }
  const names = new Set(entries.map(([key]) => key));
  if (names.size < entries.length) throw new ExpositionError(0, `${series} has a label twice`);
  if (!names.has(METRIC_NAME)) throw new ExpositionError(0, `${series} has no name`);
  return labelsFrom(entries);
}

const unescaped = (text: string): string =>
  text.includes('\\') ? text.replace(/\\([\s\S])/g, (_, sign: string) => (sign === 'n' ? '\n' : sign)) : text;
