import { isJsonObject, type Json, type JsonObject } from '@istio-ts/charts';
import type { KubeObject } from '@istio-ts/kube';
import { OperatorError } from './failure.ts';
import { joinPath } from './settings-report.ts';

/** Everything that YAML takes for the end of a line. */
const lineEnd = /[\x00-\x08\x0a-\x1f\x7f\u0085\u2028\u2029]/;

/**
 * Refuses values whose text of several lines becomes structure: charts put values into text, where a line break can begin another field or another
 * object. Rendered with such texts cut at their first line break, the objects must have the same kinds, names of fields and lengths of lists; where they
 * have not, a text has become more than a text. Raises OperatorError.
 */
export function refuseSmuggled(
  values: JsonObject,
  objects: readonly KubeObject[],
  render: (values: JsonObject) => readonly KubeObject[],
): void {
  const paths: string[] = [];
  const cut = (value: Json, path: string): Json => {
    if (typeof value === 'string' && lineEnd.test(value)) {
      paths.push(path);
      return value.slice(0, value.search(lineEnd)) || 'x';
    }
    if (Array.isArray(value)) return (value as readonly Json[]).map((item, index) => cut(item, `${path}[${index}]`));
    if (isJsonObject(value))
      return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, cut(child, joinPath(path, key))]));
    return value;
  };
  const harmless = cut(values, '');
  if (paths.length === 0 || !isJsonObject(harmless)) return;
  const expected = render(harmless).map(shapeOf).sort();
  const found = objects.map(shapeOf).sort();
  if (expected.length === found.length && expected.every((shape, index) => shape === found[index])) return;
  throw new OperatorError(
    `values: a text of several lines changes which objects and fields are made: ${paths.slice(0, 5).join(', ')}${paths.length > 5 ? ` and ${paths.length - 5} more` : ''} must be on one line`,
  );
}

/** What an object is and which fields it has, without their texts. */
function shapeOf(object: KubeObject): string {
  const shape = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shape);
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(
        Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, child]) => [key, shape(child)]),
      );
    return 0;
  };
  return JSON.stringify([object.apiVersion, object.kind, shape(object)]);
}
