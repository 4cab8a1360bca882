import { asArray, asObject, asObjects, asString, type JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';

/** What the cells of several kinds have in common. */

export const spec = (object: ApiObject): JsonObject => asObject(object.spec);
export const status = (object: ApiObject): JsonObject => asObject(object.status);
export const orNone = (value: string): string => (value === '' ? '<none>' : value);

/** A map of labels as `a=1,b=2`. */
export function labels(map: unknown): string {
  return orNone(
    Object.entries(asObject(map))
      .map(([key, value]) => `${key}=${String(value)}`)
      .sort()
      .join(','),
  );
}

/** A LabelSelector as clients write it. */
export function selector(value: unknown): string {
  const object = asObject(value);
  const parts = Object.entries(asObject(object.matchLabels)).map(([key, item]) => `${key}=${String(item)}`);
  for (const expression of asObjects(object.matchExpressions)) {
    const key = asString(expression.key);
    const values = asArray(expression.values).join(',');
    switch (expression.operator) {
      case 'In':
        parts.push(`${key} in (${values})`);
        break;
      case 'NotIn':
        parts.push(`${key} notin (${values})`);
        break;
      case 'Exists':
        parts.push(key);
        break;
      default:
        parts.push(`!${key}`);
    }
  }
  return orNone(parts.sort().join(','));
}
