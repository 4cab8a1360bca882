import { type JsonObject, asArray, clone, equal, isObject } from '../json.ts';
import { fieldSchema, resolve, type Schema } from '../schema/schema.ts';
import { badRequest } from '../status.ts';

/**
 * Strategic merge patch (Kubernetes documentation, "Update API Objects in Place Using kubectl patch", and its directives
 * `$patch`, `$retainKeys`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`). Merge keys come from the schema.
 * Returns a new value; throws a 400 `ApiError` for a malformed directive.
 */
export function strategicMerge(target: unknown, patch: unknown, schema: Schema | undefined): unknown {
  if (!isObject(patch)) return clone(patch);
  const directive = patch.$patch;
  if (directive === 'replace') return cleaned(without(patch, '$patch'));
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge')
    throw badRequest(`invalid $patch directive: ${JSON.stringify(directive)}`);
  const base = isObject(target) ? target : {};
  const result: JsonObject = { ...base };
  const retain = patch.$retainKeys;
  if (Array.isArray(retain)) for (const key of Object.keys(result)) if (!retain.includes(key)) delete result[key];
  for (const key of Object.keys(patch)) {
    if (key === '$patch' || key === '$retainKeys') continue;
    if (key.startsWith('$deleteFromPrimitiveList/')) {
      const field = key.slice('$deleteFromPrimitiveList/'.length);
      const doomed = asArray(patch[key]);
      if (Array.isArray(result[field]))
        result[field] = asArray(result[field]).filter((item) => !doomed.some((d) => equal(d, item)));
      continue;
    }
    if (key.startsWith('$setElementOrder/')) continue;
    const value = patch[key];
    if (value === null) {
      delete result[key];
      continue;
    }
    const below = schema === undefined ? undefined : fieldSchema(schema, key);
    // The merge strategy stands on the field, not on the type that it refers to.
    const field = schema?.properties?.[key] ?? below;
    if (Array.isArray(value)) result[key] = mergeList(asArray(result[key]), value, field, result[key] !== undefined);
    else if (isObject(value)) {
      const strategy = field?.['x-kubernetes-patch-strategy'] ?? '';
      if (strategy.split(',').includes('replace')) result[key] = cleaned(value);
      else if (isObject(value) && value.$patch === 'delete') delete result[key];
      else result[key] = strategicMerge(result[key], value, below);
    } else result[key] = value;
  }
  for (const key of Object.keys(patch)) {
    if (!key.startsWith('$setElementOrder/')) continue;
    const field = key.slice('$setElementOrder/'.length);
    if (Array.isArray(result[field]))
      result[field] = inOrder(asArray(result[field]), asArray(patch[key]), schema?.properties?.[field]);
  }
  return result;
}

function without(object: JsonObject, key: string): JsonObject {
  const { [key]: _dropped, ...rest } = object;
  return rest;
}

/** A value of a patch as it is stored when nothing is there to merge with: without directives and nulls. */
function cleaned(value: unknown): unknown {
  if (Array.isArray(value))
    return value
      .filter((item) => !(isObject(item) && item.$patch !== undefined && item.$patch !== 'merge'))
      .map(cleaned);
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  for (const key of Object.keys(value)) {
    if (
      key.startsWith('$patch') ||
      key.startsWith('$retainKeys') ||
      key.startsWith('$setElementOrder/') ||
      key.startsWith('$deleteFrom')
    )
      continue;
    if (value[key] !== null) result[key] = cleaned(value[key]);
  }
  return result;
}

function mergeList(
  target: readonly unknown[],
  patch: readonly unknown[],
  field: Schema | undefined,
  exists: boolean,
): unknown[] {
  const strategy = (field?.['x-kubernetes-patch-strategy'] ?? '').split(',');
  const key = field?.['x-kubernetes-patch-merge-key'];
  const items = field?.items === undefined ? undefined : resolve(field.items);
  const replaces = patch.some((item) => isObject(item) && item.$patch === 'replace');
  if (replaces || !strategy.includes('merge')) {
    return patch
      .filter((item) => !(isObject(item) && item.$patch === 'replace' && Object.keys(item).length === 1))
      .map(cleaned);
  }
  if (key === undefined) {
    const result = [...target];
    for (const item of patch) if (!result.some((existing) => equal(existing, item))) result.push(clone(item));
    return result;
  }
  if (!exists) return patch.filter((item) => !(isObject(item) && item.$patch === 'delete')).map(cleaned);
  let result = [...target];
  for (const item of patch) {
    if (!isObject(item)) throw badRequest(`expected an object with the merge key ${key}, got ${JSON.stringify(item)}`);
    const id = item[key];
    if (id === undefined) throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    const same = (existing: unknown) => isObject(existing) && equal(existing[key], id);
    if (item.$patch === 'delete') {
      result = result.filter((existing) => !same(existing));
      continue;
    }
    const index = result.findIndex(same);
    if (index < 0) result.push(cleaned(item));
    else result[index] = strategicMerge(result[index], item, items);
  }
  return result;
}

/** Orders the items that `order` names as it says; others keep their place relative to what stood before them. */
function inOrder(list: readonly unknown[], order: readonly unknown[], field: Schema | undefined): unknown[] {
  const key = field?.['x-kubernetes-patch-merge-key'];
  const rank = (item: unknown): number =>
    order.findIndex((wanted) =>
      key !== undefined && isObject(item) && isObject(wanted) ? equal(item[key], wanted[key]) : equal(item, wanted),
    );
  const named = list.filter((item) => rank(item) >= 0).sort((a, b) => rank(a) - rank(b));
  const result: unknown[] = [];
  let next = 0;
  for (const item of list) {
    if (rank(item) < 0) result.push(item);
    else {
      result.push(named[next]);
      next += 1;
    }
  }
  return result;
}

/** JSON merge patch (RFC 7396). Returns a new value. */
export function jsonMerge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return clone(patch);
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    if (patch[key] === null) delete result[key];
    else result[key] = jsonMerge(result[key], patch[key]);
  }
  return result;
}
