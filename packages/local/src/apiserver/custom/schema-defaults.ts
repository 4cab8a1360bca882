import { clone, isObject } from '../json.ts';
import type { Schema } from '../schema/schema.ts';

/** Fills in the defaults of a structural schema; changes the value. A null where null is not allowed counts as absent. */
export function applySchemaDefaults(value: unknown, schema: Schema): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items !== undefined) for (const item of value) applySchemaDefaults(item, items);
    return;
  }
  if (!isObject(value)) return;
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    if (value[key] === null && property.nullable !== true) {
      if (property.default !== undefined) delete value[key];
      else if (property.type !== undefined) delete value[key];
    }
    if (value[key] === undefined && property.default !== undefined) value[key] = clone(property.default);
    if (value[key] !== undefined) applySchemaDefaults(value[key], property);
  }
  if (typeof schema.additionalProperties === 'object') {
    for (const [key, item] of Object.entries(value)) {
      if (schema.properties?.[key] === undefined) applySchemaDefaults(item, schema.additionalProperties);
    }
  }
}
