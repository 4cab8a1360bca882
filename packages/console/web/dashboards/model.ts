// The parts of Grafana's dashboard files that are drawn here, read without trust in their shape.

export interface Target {
  readonly expr: string;
  readonly legend: string;
  readonly refId: string;
  readonly instant: boolean;
  readonly format: string;
}

export interface Threshold {
  readonly value: number | null;
  readonly colour: string;
}

export interface FieldConfig {
  readonly unit: string;
  readonly decimals: number | undefined;
  readonly min: number | undefined;
  readonly max: number | undefined;
  readonly thresholds: readonly Threshold[];
  readonly stacked: boolean;
  readonly fill: boolean;
  readonly displayName: string | undefined;
  /** Texts for single values. */
  readonly mappings: ReadonlyMap<string, string>;
}

export interface Override {
  readonly name: string;
  readonly pattern: boolean;
  readonly unit: string | undefined;
  readonly displayName: string | undefined;
  readonly hidden: boolean;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly targets: readonly Target[];
  readonly field: FieldConfig;
  readonly overrides: readonly Override[];
  /** How a series becomes one value. */
  readonly reduce: string;
  readonly content: string;
  readonly excluded: ReadonlySet<string>;
  readonly renamed: ReadonlyMap<string, string>;
}

export interface Variable {
  readonly name: string;
  readonly label: string;
  readonly kind: 'query' | 'custom' | 'constant' | 'interval' | 'textbox' | 'datasource';
  readonly query: string;
  readonly regex: string;
  readonly multi: boolean;
  readonly includeAll: boolean;
  readonly allValue: string;
  readonly initial: readonly string[];
  readonly options: readonly string[];
  readonly hidden: boolean;
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly panels: readonly Panel[];
  readonly variables: readonly Variable[];
  /** Seconds that it looks back when it is opened. */
  readonly duration: number;
}

type Fields = Readonly<Record<string, unknown>>;

const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const list = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.map(fields) : []);
const text = (value: unknown, otherwise = ''): string =>
  typeof value === 'string' ? value : typeof value === 'number' ? String(value) : otherwise;
const number = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;

const seconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Seconds of `now-30m` or `30m`. */
export function durationOf(from: string): number | undefined {
  const found = /(\d+)([smhdw])$/.exec(from);
  return found ? Number(found[1]) * (seconds[found[2] ?? 's'] ?? 1) : undefined;
}

function mappingsOf(value: unknown): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { type, options } of list(value)) {
    if (type !== 'value' && type !== 'special') continue;
    for (const [key, result] of Object.entries(fields(options))) {
      const shown = text(fields(result).text);
      if (shown !== '') found.set(key, shown);
    }
  }
  return found;
}

function fieldConfigOf(value: unknown): FieldConfig {
  const defaults = fields(value);
  const custom = fields(defaults.custom);
  return {
    unit: text(defaults.unit),
    decimals: number(defaults.decimals),
    min: number(defaults.min),
    max: number(defaults.max),
    thresholds: list(fields(defaults.thresholds).steps).map((step) => ({
      value: number(step.value) ?? null,
      colour: text(step.color, 'green'),
    })),
    stacked: !['', 'none'].includes(text(fields(custom.stacking).mode)),
    fill: (number(custom.fillOpacity) ?? 0) > 0,
    displayName: text(defaults.displayName) || undefined,
    mappings: mappingsOf(defaults.mappings),
  };
}

function overridesOf(value: unknown): readonly Override[] {
  return list(value).flatMap((override): readonly Override[] => {
    const { id, options } = fields(override.matcher);
    if (id !== 'byName' && id !== 'byRegexp') return [];
    const properties = new Map(list(override.properties).map((property) => [text(property.id), property.value]));
    const width = properties.get('custom.hidden') ?? fields(properties.get('custom.hideFrom')).viz;
    return [
      {
        name: text(options),
        pattern: id === 'byRegexp',
        unit: text(properties.get('unit')) || undefined,
        displayName: text(properties.get('displayName')) || undefined,
        hidden: width === true,
      },
    ];
  });
}

function panelOf(value: Fields, index: number): Panel {
  const place = fields(value.gridPos);
  const options = fields(value.options);
  const config = fields(value.fieldConfig);
  const organize = list(value.transformations)
    .filter(({ id }) => id === 'organize')
    .map((each) => fields(each.options));
  return {
    id: number(value.id) ?? index,
    type: text(value.type, 'timeseries'),
    title: text(value.title),
    description: text(value.description),
    x: number(place.x) ?? 0,
    y: number(place.y) ?? 0,
    width: number(place.w) ?? 12,
    height: number(place.h) ?? 8,
    targets: list(value.targets)
      .filter(({ expr, hide }) => text(expr) !== '' && hide !== true)
      .map((target, at) => ({
        expr: text(target.expr),
        legend: text(target.legendFormat),
        refId: text(target.refId, String.fromCharCode(65 + at)),
        instant: target.instant === true && target.range !== true,
        format: text(target.format, 'time_series'),
      })),
    field: fieldConfigOf(config.defaults),
    overrides: overridesOf(config.overrides),
    reduce: text((fields(options.reduceOptions).calcs as readonly unknown[] | undefined)?.[0], 'lastNotNull'),
    content: text(options.content) || text(value.content),
    excluded: new Set(
      organize.flatMap(({ excludeByName }) =>
        Object.entries(fields(excludeByName))
          .filter(([, on]) => on === true)
          .map(([name]) => name),
      ),
    ),
    renamed: new Map(
      organize.flatMap(({ renameByName }) =>
        Object.entries(fields(renameByName))
          .map(([name, to]): [string, string] => [name, text(to)])
          .filter(([, to]) => to !== ''),
      ),
    ),
  };
}

const kinds = ['query', 'custom', 'constant', 'interval', 'textbox', 'datasource'] as const;

function variableOf(value: Fields): Variable {
  const current = fields(value.current).value;
  const query = typeof value.query === 'string' ? value.query : text(fields(value.query).query);
  const kind = kinds.find((each) => each === value.type) ?? 'custom';
  return {
    name: text(value.name),
    label: text(value.label) || text(value.name),
    kind,
    query: query || text(value.definition),
    regex: text(value.regex),
    multi: value.multi === true,
    includeAll: value.includeAll === true,
    allValue: text(value.allValue),
    initial: (Array.isArray(current) ? current.map((each) => text(each)) : [text(current)]).filter(
      (each) => each !== '',
    ),
    options:
      kind === 'custom' || kind === 'interval'
        ? query
            .split(',')
            .map((each) => each.trim().replace(/^.* : /, ''))
            .filter((each) => each !== '' && each !== 'auto')
        : [],
    hidden: number(value.hide) === 2 || kind === 'datasource' || kind === 'constant',
  };
}

/** Reads a dashboard file; panels of folded rows are shown too. */
export function readDashboard(value: unknown): Dashboard {
  const outer = fields(value);
  // Grafana's own API wraps the file.
  const file = 'dashboard' in outer && !('panels' in outer) ? fields(outer.dashboard) : outer;
  const panels = list(file.panels).flatMap((panel) => [panel, ...list(panel.panels)]);
  return {
    uid: text(file.uid),
    title: text(file.title),
    description: text(file.description),
    panels: panels.map(panelOf).sort((a, b) => a.y - b.y || a.x - b.x),
    variables: list(fields(file.templating).list).map(variableOf),
    duration: durationOf(text(fields(file.time).from)) ?? 1800,
  };
}
