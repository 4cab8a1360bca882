import { isObject, type Json, sameJson } from './json.ts';

/** One operation of RFC 6902. */
export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: Json | undefined }
  | { readonly op: 'remove'; readonly path: string };

function escapeKey(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Operations that turn one value into another: field by field in objects, element by element in lists that only grew or kept their length. */
export function jsonPatch(from: unknown, to: unknown, path = ''): readonly PatchOperation[] {
  if (sameJson(from, to)) return [];
  if (isObject(from) && isObject(to)) {
    const operations: PatchOperation[] = [];
    for (const key of Object.keys(from)) {
      if (from[key] !== undefined && to[key] === undefined)
        operations.push({ op: 'remove', path: `${path}/${escapeKey(key)}` });
    }
    for (const [key, value] of Object.entries(to)) {
      if (value === undefined) continue;
      if (from[key] === undefined) operations.push({ op: 'add', path: `${path}/${escapeKey(key)}`, value });
      else operations.push(...jsonPatch(from[key], value, `${path}/${escapeKey(key)}`));
    }
    return operations;
  }
  if (Array.isArray(from) && Array.isArray(to) && to.length >= from.length) {
    return [
      ...from.flatMap((item, i) => jsonPatch(item, to[i], `${path}/${i}`)),
      ...to.slice(from.length).map((value): PatchOperation => ({ op: 'add', path: `${path}/-`, value: value as Json })),
    ];
  }
  return [{ op: 'replace', path, value: to as Json }];
}
