import { isObject, type JsonObject } from '../json.ts';
import { resolve, type Schema } from '../schema/schema.ts';

export interface FieldFindings {
  /** Paths such as `spec.containers[0].imagee`. */
  readonly unknown: readonly string[];
  /** The object without the unknown fields. */
  readonly pruned: JsonObject;
}

const MAX_FINDINGS = 100;

/** Finds and removes the fields that a schema does not know (Kubernetes documentation, "Field pruning"). */
export function unknownFields(object: JsonObject, schema: Schema, custom: boolean): FieldFindings {
  const unknown: string[] = [];
  const pruned = prune(object, schema, '', unknown, custom);
  return { unknown, pruned: isObject(pruned) ? pruned : object };
}

const ENVELOPE = new Set(['apiVersion', 'kind', 'metadata']);

function prune(value: unknown, unresolved: Schema, path: string, unknown: string[], inCustom: boolean): unknown {
  const schema = resolve(unresolved);
  // Metadata of a custom resource follows the rules of the built-in types.
  const custom = inCustom && unresolved.$ref === undefined;
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return value;
    return mapList(value, (item, index) => prune(item, items, `${path}[${index}]`, unknown, custom));
  }
  if (!isObject(value)) return value;
  const { properties, additionalProperties } = schema;
  const open = properties === undefined && (additionalProperties === undefined || additionalProperties === true);
  if (open && !custom) return value;
  const preserve = schema['x-kubernetes-preserve-unknown-fields'] === true || additionalProperties === true;
  const embedded = schema['x-kubernetes-embedded-resource'] === true;
  let result = value;
  for (const key of Object.keys(value)) {
    const known = properties !== undefined && Object.hasOwn(properties, key) ? properties[key] : undefined;
    const below = known ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined);
    const fieldPath = path === '' ? key : `${path}.${key}`;
    if (below === undefined) {
      if (preserve || (embedded && ENVELOPE.has(key))) continue;
      if (unknown.length < MAX_FINDINGS) unknown.push(fieldPath);
      if (result === value) result = { ...value };
      delete result[key];
      continue;
    }
    const item = prune(value[key], below, fieldPath, unknown, custom);
    if (item !== value[key]) {
      if (result === value) result = { ...value };
      result[key] = item;
    }
  }
  return result;
}

function mapList(list: readonly unknown[], change: (item: unknown, index: number) => unknown): unknown {
  let result: unknown[] | undefined;
  list.forEach((item, index) => {
    const changed = change(item, index);
    if (changed === item) return;
    result ??= [...list];
    result[index] = changed;
  });
  return result ?? list;
}
