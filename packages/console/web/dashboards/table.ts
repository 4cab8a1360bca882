import type { FieldConfig, Override, Panel } from './model.ts';
import type { TargetData } from './use-panel.ts';
import { grafanaUnit } from './units.ts';

export interface TableColumn {
  readonly id: string;
  readonly title: string;
  readonly number: boolean;
  readonly format: (value: string | number) => string;
}

export interface TableRow {
  readonly key: string;
  readonly cells: Readonly<Record<string, string | number>>;
}

const overrideOf = (overrides: readonly Override[], name: string): Override | undefined =>
  overrides.find((override) => {
    if (!override.pattern) return override.name === name;
    try {
      return new RegExp(override.name.replace(/^\/|\/$/g, '')).test(name);
    } catch {
      return false;
    }
  });

const written = (field: FieldConfig, unit: string | undefined) => {
  const format = grafanaUnit(unit ?? field.unit, field.decimals);
  return (value: string | number): string =>
    typeof value === 'number'
      ? (field.mappings.get(String(value)) ?? (Number.isFinite(value) ? format(value) : '–'))
      : value;
};

/** Answers of several queries as one table: rows with the same labels become one, each query has a column of values (Grafana's `merge`). */
export function tableOf(
  panel: Panel,
  data: readonly TargetData[],
): { readonly columns: readonly TableColumn[]; readonly rows: readonly TableRow[] } {
  const several = data.length > 1;
  const rows = new Map<string, Record<string, string | number>>();
  const labels = new Set<string>();
  for (const { target, answers } of data)
    for (const { labels: own, points } of answers) {
      const { __name__: _, ...rest } = own;
      const shown = Object.entries(rest).filter(([name]) => !panel.excluded.has(name));
      for (const [name] of shown) labels.add(name);
      const key = JSON.stringify(shown.sort(([a], [b]) => a.localeCompare(b)));
      const row = rows.get(key) ?? Object.fromEntries(shown);
      const value = points.at(-1)?.[1];
      if (value !== undefined) row[several ? `Value #${target.refId}` : 'Value'] = value;
      rows.set(key, row);
    }
  const values = data
    .map(({ target }) => (several ? `Value #${target.refId}` : 'Value'))
    .filter((name) => !panel.excluded.has(name));
  const column = (id: string, number: boolean): TableColumn => {
    const override = overrideOf(panel.overrides, panel.renamed.get(id) ?? id) ?? overrideOf(panel.overrides, id);
    return {
      id,
      number,
      title: override?.displayName ?? panel.renamed.get(id) ?? id,
      format: written(panel.field, override?.unit),
    };
  };
  const hidden = (id: string) => overrideOf(panel.overrides, id)?.hidden === true;
  return {
    columns: [
      ...[...labels].sort().map((name) => column(name, false)),
      ...values.map((name) => column(name, true)),
    ].filter(({ id }) => !hidden(id)),
    rows: [...rows].map(([key, cells]) => ({ key, cells })),
  };
}
