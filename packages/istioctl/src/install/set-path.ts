import { isJsonObject, type Json, type JsonObject } from '@istio-ts/charts/json';
import { OperatorError } from './failure.ts';

type Part =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'named'; readonly field: string; readonly value: string }
  /** An item of a list of plain values. */
  | { readonly kind: 'item'; readonly value: string };

const maxIndex = 1024;
/** No setting is nested deeper than a few dozen names; a path that is would only exhaust the process. */
const maxParts = 64;
const maxSetting = 1 << 20;
/** Names that mean something else to JavaScript than to anyone's configuration. */
export const forbiddenName = '__proto__';

/**
 * Splits a path of `--set`: names separated by dots (`\.` is a dot in a name), `[2]` an item of a list, `[name:x]` the item whose field has that value,
 * `[:x]` the item that is that value, `[-1]` a new item (Istio, "Customizing the installation configuration"). Overlays may leave out the colon of
 * `[:x]` (`plainItems`). `where` names the path in messages. Raises OperatorError.
 */
export function parsePath(
  path: string,
  {
    where = `--set ${short(path)}`,
    plainItems = false,
  }: { readonly where?: string; readonly plainItems?: boolean } = {},
): readonly Part[] {
  if (path.length > maxSetting) throw new OperatorError(`${where}: the path is too long`);
  const parts: Part[] = [];
  let key = '';
  const push = () => {
    if (key === forbiddenName) throw new OperatorError(`${where}: no setting is called ${forbiddenName}`);
    if (key !== '') parts.push({ kind: 'key', key });
    key = '';
    if (parts.length > maxParts) throw new OperatorError(`${where}: nested deeper than ${maxParts} names`);
  };
  for (let at = 0; at < path.length; at++) {
    const character = path[at];
    if (character === '\\') key += path[++at] ?? '';
    else if (character === '.') push();
    else if (character === '[') {
      push();
      const end = path.indexOf(']', at);
      const inner = path.slice(at + 1, end);
      if (end < 0 || inner === '') throw new OperatorError(`${where}: a "[" without its "]"`);
      const colon = inner.indexOf(':');
      const index = Number(inner);
      if (Number.isInteger(index) && index >= -1 && index <= maxIndex && inner.trim() !== '')
        parts.push({ kind: 'index', index });
      else if (colon > 0 && !(plainItems && inner.startsWith('-')))
        parts.push({ kind: 'named', field: inner.slice(0, colon), value: inner.slice(colon + 1) });
      else if (colon === 0) parts.push({ kind: 'item', value: inner.slice(1) });
      else if (plainItems && !Number.isInteger(index)) parts.push({ kind: 'item', value: inner });
      else throw new OperatorError(`${where}: "[${short(inner)}]" is neither a number nor FIELD:VALUE`);
      at = end;
    } else key += character;
  }
  push();
  if (parts.length === 0)
    throw new OperatorError(
      where.startsWith('--set') ? `--set: "${path}" names no setting` : `${where}: the path is empty`,
    );
  return parts;
}

const short = (text: string): string => (text.length > 100 ? `${text.slice(0, 97)}...` : text);

/** Reads a value as Helm does: true, false, null, whole numbers, `{a,b}` lists, everything else text. */
export function parseValue(text: string): Json {
  // Items are separated by commas; `\\,` is a comma in an item.
  if (text.startsWith('{') && text.endsWith('}'))
    return text.slice(1, -1) === ''
      ? []
      : text
          .slice(1, -1)
          .split(/(?<!\\),/)
          .map(scalar);
  return scalar(text);
}

function scalar(text: string): Json {
  if (text === 'true') return true;
  if (text === 'false') return false;
  if (text === 'null') return null;
  // Numbers that would not come back the same (leading zeros, too many digits) stay text.
  if (/^-?\d+$/.test(text) && String(Number(text)) === text) return Number(text);
  if (/^-?\d+\.\d+$/.test(text) && String(Number(text)) === text) return Number(text);
  return text.replace(/\\(.)/g, '$1');
}

/** Leaves a place of the target empty: `undefined` in the place of a value takes it away. */
function assign(target: Json | undefined, parts: readonly Part[], value: Json | undefined, where: string): Json {
  const [part, ...rest] = parts;
  // Only the innermost call has no parts, and its result is taken from `value` by the caller.
  if (!part) return value ?? null;
  const removes = rest.length === 0 && value === undefined;
  switch (part.kind) {
    case 'key': {
      if (target !== undefined && target !== null && !isJsonObject(target))
        throw new OperatorError(`${where}: "${short(part.key)}" is asked of something that is no mapping`);
      const object = isJsonObject(target) ? target : {};
      if (removes) return Object.fromEntries(Object.entries(object).filter(([key]) => key !== part.key));
      const present = Object.hasOwn(object, part.key) ? object[part.key] : undefined;
      if (value === undefined && present === undefined) return object;
      return { ...object, [part.key]: assign(present, rest, value, where) };
    }
    case 'index': {
      if (target !== undefined && target !== null && !Array.isArray(target))
        throw new OperatorError(`${where}: [${part.index}] is asked of something that is no list`);
      const list: Json[] = Array.isArray(target) ? [...target] : [];
      const index = part.index === -1 ? list.length : part.index;
      if (value === undefined && index >= list.length) return list;
      if (removes) return list.toSpliced(index, 1);
      while (list.length < index) list.push({});
      list[index] = assign(list[index], rest, value, where);
      return list;
    }
    case 'named':
    case 'item': {
      const shown = part.kind === 'named' ? `[${part.field}:${short(part.value)}]` : `[:${short(part.value)}]`;
      if (!Array.isArray(target)) throw new OperatorError(`${where}: ${shown} is asked of something that is no list`);
      const list: Json[] = [...target];
      const index = list.findIndex((item) =>
        part.kind === 'named'
          ? isJsonObject(item) && Object.hasOwn(item, part.field) && String(item[part.field]) === part.value
          : !isJsonObject(item) && String(item) === part.value,
      );
      if (index < 0)
        throw new OperatorError(
          part.kind === 'named'
            ? `${where}: no item has ${part.field} "${short(part.value)}"`
            : `${where}: no item is "${short(part.value)}"`,
        );
      if (removes) return list.toSpliced(index, 1);
      list[index] = assign(list[index], rest, value, where);
      return list;
    }
  }
}

/** Gives one setting a value; `target` stays as it is. Raises OperatorError. */
export function setPath(target: JsonObject, path: string, value: Json): JsonObject {
  return assign(target, parsePath(path), value, `--set ${short(path)}`) as JsonObject;
}

/**
 * One patch of an overlay (`components.*.k8s.overlays[].patches[]`): sets what stands at the path, or takes it away where `value` is undefined. Raises
 * OperatorError that begins with `where`.
 */
export function patchPath(target: JsonObject, path: string, value: Json | undefined, where: string): JsonObject {
  return assign(target, parsePath(path.replace(/^\./, ''), { where, plainItems: true }), value, where) as JsonObject;
}

/** What stands at a path, or undefined. Raises OperatorError for what is no path. */
export function getPath(target: JsonObject, path: string): Json | undefined {
  let at: Json | undefined = target;
  for (const part of parsePath(path, { where: short(path) })) at = step(at, part);
  return at;
}

function step(at: Json | undefined, part: Part): Json | undefined {
  const list: readonly Json[] = Array.isArray(at) ? at : [];
  switch (part.kind) {
    case 'key':
      return isJsonObject(at) && Object.hasOwn(at, part.key) ? at[part.key] : undefined;
    case 'index':
      return list[part.index];
    case 'named':
      return list.find((item) => isJsonObject(item) && String(item[part.field]) === part.value);
    case 'item':
      return list.find((item) => String(item) === part.value);
  }
}

/** Splits `path=value`. Raises OperatorError. */
export function splitSetting(setting: string): readonly [path: string, value: Json] {
  if (setting.length > maxSetting) throw new OperatorError(`--set ${short(setting)}: the setting is too long`);
  const at = settingEnd(setting);
  if (at <= 0) throw new OperatorError(`--set ${short(setting)}: expected PATH=VALUE, for example --set profile=demo`);
  return [setting.slice(0, at), parseValue(setting.slice(at + 1))];
}

/** Where the path ends: at the first "=" that is not inside brackets. */
function settingEnd(setting: string): number {
  let inside = false;
  for (let at = 0; at < setting.length; at++) {
    const character = setting[at];
    if (character === '\\') at++;
    else if (character === '[') inside = true;
    else if (character === ']') inside = false;
    else if (character === '=' && !inside) return at;
  }
  return setting.indexOf('=');
}
