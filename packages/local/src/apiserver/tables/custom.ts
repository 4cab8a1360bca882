import type { PrinterColumn } from '../definitions.ts';
import { AGE, age, type Column, NAME } from './columns.ts';
import { evaluate, parseJsonPath } from './json-path.ts';

function cellText(values: readonly unknown[], type: string, now: number): string | number | boolean | null {
  const [value] = values;
  if (value === undefined || value === null) return null;
  if (type === 'date') return age(value, now);
  if (values.length > 1)
    return values.map((item) => (typeof item === 'object' ? JSON.stringify(item) : String(item))).join(',');
  if (typeof value === 'number' || typeof value === 'boolean') return type === 'string' ? String(value) : value;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const known = new WeakMap<readonly PrinterColumn[], readonly Column[]>();

/** Columns of a custom resource: the name, then its `additionalPrinterColumns`, or the age when it has none. */
export function customColumns(columns: readonly PrinterColumn[]): readonly Column[] {
  let result = known.get(columns);
  if (result === undefined) {
    result = columns.length === 0 ? [NAME, AGE] : [NAME, ...columns.map(column)];
    known.set(columns, result);
  }
  return result;
}

function column(definition: PrinterColumn): Column {
  const path = parseJsonPath(definition.jsonPath);
  return {
    name: definition.name,
    type: definition.type,
    ...(definition.format === undefined ? {} : { format: definition.format }),
    ...(definition.priority === undefined ? {} : { priority: definition.priority }),
    cell: (object, now) => (path === undefined ? null : cellText(evaluate(object, path), definition.type, now)),
  };
}
