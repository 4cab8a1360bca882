import type { Json, JsonObject } from '@istio-ts/charts';
import { OperatorError } from './failure.ts';

type Part =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'named'; readonly field: string; readonly value: string };

const maxIndex = 1024;

/**
 * Splits a path of `--set`: names separated by dots (`\.` is a dot in a name), `[2]` an item of a list, `[name:x]` the item whose field has that value
 * (Istio, "Customize the Istio settings"). Raises OperatorError.
 */
export function parsePath(path: string): readonly Part[] {
  const parts: Part[] = [];
  let key = '';
  const push = () => {
    if (key !== '') parts.push({ kind: 'key', key });
    key = '';
  };
  for (let at = 0; at < path.length; at++) {
    const character = path[at];
    if (character === '\\') key += path[++at] ?? '';
    else if (character === '.') push();
    else if (character === '[') {
      push();
      const end = path.indexOf(']', at);
      const inner = path.slice(at + 1, end);
      if (end < 0 || inner === '') throw new OperatorError(`--set ${path}: a "[" without its "]"`);
      const colon = inner.indexOf(':');
      if (colon > 0) parts.push({ kind: 'named', field: inner.slice(0, colon), value: inner.slice(colon + 1) });
      else {
        const index = Number(inner);
        if (!Number.isInteger(index) || index < 0 || index > maxIndex)
          throw new OperatorError(`--set ${path}: "[${inner}]" is neither a number nor FIELD:VALUE`);
        parts.push({ kind: 'index', index });
      }
      at = end;
    } else key += character;
  }
  push();
  if (parts.length === 0) throw new OperatorError(`--set: "${path}" names no setting`);
  return parts;
}

/** Reads a value as Helm does: true, false, null, whole numbers, `{a,b}` lists, everything else text. */
export function parseValue(text: string): Json {
  if (text === 'true') return true;
  if (text === 'false') return false;
  if (text === 'null') return null;
  if (text.startsWith('{') && text.endsWith('}'))
    return text.slice(1, -1) === '' ? [] : text.slice(1, -1).split(',').map(parseValue);
  // Numbers that would not come back the same (leading zeros, too many digits) stay text.
  if (/^-?\d+$/.test(text) && String(Number(text)) === text) return Number(text);
  if (/^-?\d+\.\d+$/.test(text) && String(Number(text)) === text) return Number(text);
  return text.replace(/\\(.)/g, '$1');
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function assign(target: Json | undefined, parts: readonly Part[], value: Json, path: string): Json {
  const [part, ...rest] = parts;
  if (!part) return value;
  switch (part.kind) {
    case 'key': {
      if (target !== undefined && target !== null && !isObject(target))
        throw new OperatorError(`--set ${path}: "${part.key}" is asked of something that is no mapping`);
      const object = isObject(target) ? target : {};
      return { ...object, [part.key]: assign(object[part.key], rest, value, path) };
    }
    case 'index': {
      if (target !== undefined && target !== null && !Array.isArray(target))
        throw new OperatorError(`--set ${path}: [${part.index}] is asked of something that is no list`);
      const list: Json[] = Array.isArray(target) ? [...target] : [];
      while (list.length < part.index) list.push({});
      list[part.index] = assign(list[part.index], rest, value, path);
      return list;
    }
    case 'named': {
      if (!Array.isArray(target))
        throw new OperatorError(`--set ${path}: [${part.field}:${part.value}] is asked of something that is no list`);
      const list: Json[] = [...target];
      const index = list.findIndex((item) => isObject(item) && String(item[part.field]) === part.value);
      if (index < 0) throw new OperatorError(`--set ${path}: no item has ${part.field} "${part.value}"`);
      list[index] = assign(list[index], rest, value, path);
      return list;
    }
  }
}

/** Gives one setting a value; `target` stays as it is. Raises OperatorError. */
export function setPath(target: JsonObject, path: string, value: Json): JsonObject {
  return assign(target, parsePath(path), value, path) as JsonObject;
}

/** Splits `path=value`. Raises OperatorError. */
export function splitSetting(setting: string): readonly [path: string, value: Json] {
  const at = setting.indexOf('=');
  if (at <= 0) throw new OperatorError(`--set ${setting}: expected PATH=VALUE, for example --set profile=demo`);
  return [setting.slice(0, at), parseValue(setting.slice(at + 1))];
}
