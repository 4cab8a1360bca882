import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { compareStrings, readYaml } from '@istio-ts/gotemplate';
import { ChartError } from './errors.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import { mergeValues, type Values } from './values.ts';

export interface ChartMetadata {
  readonly apiVersion: string;
  readonly name: string;
  readonly version: string;
  readonly appVersion: string;
  readonly description: string;
}

/** A chart in memory. Paths are relative to the chart's folder, with forward slashes. */
export interface Chart {
  readonly metadata: ChartMetadata;
  readonly values: Values;
  /** JSON schema of the values, where the chart has one. */
  readonly schema?: JsonObject;
  readonly templates: readonly { readonly path: string; readonly text: string }[];
  /** Everything else in the chart's folder: what templates reach as `.Files`. */
  readonly files: ReadonlyMap<string, string>;
}

/** Charts keep their defaults below this key of values.yaml, so that a profile can lie between them and what the user set. */
export const LAYERED_DEFAULTS = '_internal_defaults_do_not_set';

/** The defaults of a chart by the names that users set them by. */
export function defaultValues(chart: Chart): Values {
  const { [LAYERED_DEFAULTS]: layered, ...plain } = chart.values;
  return isJsonObject(layered) ? mergeValues(layered, plain) : plain;
}

/** A chart larger than this in all its files is refused, in bytes. */
const MAX_CHART = 32 * 1024 * 1024;
const OWN_FILES: ReadonlySet<string> = new Set([
  'Chart.yaml',
  'values.yaml',
  'values.schema.json',
  '.helmignore',
  'Chart.lock',
]);

/** Reads a chart from a folder. Throws `ChartError` when it is not a chart. */
export function loadChart(directory: string): Chart {
  let budget = MAX_CHART;
  const read = (path: string): string => {
    const size = statSync(join(directory, path)).size;
    budget -= size;
    if (budget < 0) throw new ChartError(directory, `chart ${directory} is larger than ${MAX_CHART} bytes`);
    return readFileSync(join(directory, path), 'utf8');
  };
  let paths: string[];
  try {
    paths = listFiles(directory, '');
  } catch (error) {
    throw new ChartError(
      directory,
      `no chart in ${directory}: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
  if (!paths.includes('Chart.yaml')) throw new ChartError(directory, `no chart in ${directory}: Chart.yaml is missing`);
  const parse = (path: string): Record<string, unknown> => {
    try {
      const value = readYaml(read(path), join(directory, path)) ?? {};
      if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
      throw new Error('not a mapping');
    } catch (error) {
      throw new ChartError(
        directory,
        `${join(directory, path)}: ${error instanceof Error ? error.message : String(error)}`,
        error,
      );
    }
  };
  const about = parse('Chart.yaml');
  const text = (key: string): string => (about[key] === undefined || about[key] === null ? '' : String(about[key]));
  if (text('name') === '' || text('version') === '')
    throw new ChartError(directory, `${join(directory, 'Chart.yaml')}: name and version are required`);
  return {
    metadata: {
      apiVersion: text('apiVersion'),
      name: text('name'),
      version: text('version'),
      appVersion: text('appVersion'),
      description: text('description'),
    },
    values: paths.includes('values.yaml') ? (parse('values.yaml') as Values) : {},
    ...(paths.includes('values.schema.json') && { schema: parse('values.schema.json') as JsonObject }),
    templates: paths.filter((path) => path.startsWith('templates/')).map((path) => ({ path, text: read(path) })),
    files: new Map(
      paths
        .filter((path) => !path.startsWith('templates/') && !path.startsWith('charts/') && !OWN_FILES.has(path))
        .map((path) => [path, read(path)]),
    ),
  };
}

function listFiles(root: string, below: string): string[] {
  return readdirSync(join(root, below), { withFileTypes: true })
    .sort((a, b) => compareStrings(a.name, b.name))
    .flatMap((entry) => {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) return listFiles(root, path);
      return entry.isFile() ? [path] : [];
    });
}
