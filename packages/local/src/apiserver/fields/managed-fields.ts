import { type JsonObject, clone, isObject } from '../json.ts';
import type { ApiObject, ManagedFieldsEntry } from '../object.ts';
import type { Schema } from '../schema/schema.ts';
import { ApiError } from '../status.ts';
import {
  difference,
  type FieldSet,
  intersection,
  isEmptySet,
  paths,
  showPath,
  union,
  withAncestors,
} from './field-set.ts';
import { compare, fieldsOf, merge, removeFields } from './typed.ts';

/** Who changes an object and how; ownership is kept per such author. */
export interface Author {
  readonly manager: string;
  readonly apiVersion: string;
  readonly subresource: string;
  /** RFC 3339. */
  readonly time: string;
}

/** Fields that nobody owns. */
function strip(object: JsonObject): JsonObject {
  const { apiVersion: _a, kind: _k, metadata, ...rest } = object;
  if (!isObject(metadata)) return rest;
  const {
    name: _n,
    namespace: _ns,
    uid: _u,
    resourceVersion: _r,
    generation: _g,
    creationTimestamp: _c,
    deletionTimestamp: _d,
    deletionGracePeriodSeconds: _dg,
    managedFields: _m,
    selfLink: _s,
    clusterName: _cn,
    generateName: _gn,
    ...meta
  } = metadata;
  return Object.keys(meta).length === 0 ? rest : { ...rest, metadata: meta };
}

function entries(object: JsonObject | undefined): readonly ManagedFieldsEntry[] {
  const metadata = object?.metadata;
  const list = isObject(metadata) ? metadata.managedFields : undefined;
  if (!Array.isArray(list)) return [];
  return list.filter((entry): entry is ManagedFieldsEntry => isObject(entry) && isObject(entry.fieldsV1));
}

function isAuthor(entry: ManagedFieldsEntry, author: Author, operation: 'Apply' | 'Update'): boolean {
  return (
    entry.manager === author.manager &&
    entry.operation === operation &&
    (entry.subresource ?? '') === author.subresource &&
    (operation === 'Apply' || entry.apiVersion === author.apiVersion)
  );
}

function entryOf(author: Author, operation: 'Apply' | 'Update', fields: FieldSet): ManagedFieldsEntry {
  return {
    manager: author.manager,
    operation,
    apiVersion: author.apiVersion,
    time: author.time,
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
    ...(author.subresource === '' ? {} : { subresource: author.subresource }),
  };
}

function ordered(list: readonly ManagedFieldsEntry[]): ManagedFieldsEntry[] {
  const rank = (entry: ManagedFieldsEntry) => (entry.operation === 'Apply' ? 0 : 1);
  return [...list].sort(
    (a, b) =>
      rank(a) - rank(b) ||
      (a.time ?? '').localeCompare(b.time ?? '') ||
      (a.manager < b.manager ? -1 : a.manager > b.manager ? 1 : 0),
  );
}

/**
 * Ownership after a create, update or patch: the author owns what it changed, others lose that, and nobody owns what is gone.
 * `after` decides with its own managedFields: an explicitly empty list resets the ownership.
 */
export function ownershipAfterUpdate(
  before: ApiObject | undefined,
  after: ApiObject,
  schema: Schema | undefined,
  author: Author,
): ManagedFieldsEntry[] {
  const { changed, removed } = compare(before === undefined ? {} : strip(before), strip(after), schema);
  const sent = after.metadata.managedFields;
  const reset =
    before !== undefined && Array.isArray(sent) && sent.length === 1 && Object.keys(sent[0] ?? {}).length === 0;
  const base = reset || (before !== undefined && Array.isArray(sent) && sent.length === 0) ? [] : entries(before);
  const lost = union(changed, removed);
  const result: ManagedFieldsEntry[] = [];
  let own: FieldSet = {};
  let previous: ManagedFieldsEntry | undefined;
  for (const entry of base) {
    if (isAuthor(entry, author, 'Update')) {
      previous = entry;
      own = difference(entry.fieldsV1, removed);
      continue;
    }
    const fields = difference(entry.fieldsV1, lost);
    if (!isEmptySet(fields)) result.push({ ...entry, fieldsV1: fields });
  }
  const owned = union(own, changed);
  if (!isEmptySet(owned)) {
    const touched = !isEmptySet(changed) || previous === undefined;
    result.push(
      touched || previous === undefined ? entryOf(author, 'Update', owned) : { ...previous, fieldsV1: owned },
    );
  }
  return ordered(result);
}

function refuse(conflicts: readonly { readonly entry: ManagedFieldsEntry; readonly fields: FieldSet }[]): ApiError {
  const causes = conflicts.flatMap(({ entry, fields }) =>
    paths(fields).map((path) => {
      const version = entry.operation === 'Update' ? ` using ${entry.apiVersion}` : '';
      return {
        path: showPath(path),
        who: `"${entry.manager}"${entry.subresource ? ` with subresource "${entry.subresource}"` : ''}${version}`,
      };
    }),
  );
  const byWho = new Map<string, string[]>();
  for (const cause of causes) byWho.set(cause.who, [...(byWho.get(cause.who) ?? []), cause.path]);
  const plural = causes.length === 1 ? 'conflict' : 'conflicts';
  const blocks = [...byWho].map(([who, list]) =>
    list.length === 1 && byWho.size === 1
      ? `conflict with ${who}: ${list[0]}`
      : `conflicts with ${who}:\n${list.map((path) => `- ${path}`).join('\n')}`,
  );
  return new ApiError(409, 'Conflict', `Apply failed with ${causes.length} ${plural}: ${blocks.join('\n')}`, {
    causes: causes.map(({ path, who }) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with ${who}`,
      field: path,
    })),
  });
}

/**
 * Server-side apply: lays `config` over `live`, removes what this applier owned before and no longer names (unless somebody else owns it too).
 * Throws a 409 `ApiError` with one cause per field when others own a field with another value and `force` is not set.
 */
export function apply(
  live: ApiObject | undefined,
  config: ApiObject,
  schema: Schema | undefined,
  author: Author,
  force: boolean,
): ApiObject {
  const wanted = fieldsOf(strip(config), schema);
  const all = entries(live);
  const previous = all.find((entry) => isAuthor(entry, author, 'Apply'));
  const others = all.filter((entry) => entry !== previous);
  let merged = merge(live, config, schema) as ApiObject;
  if (previous !== undefined) {
    let stale = difference(previous.fieldsV1, wanted);
    for (const other of others) stale = difference(stale, withAncestors(other.fieldsV1));
    if (!isEmptySet(stale)) merged = removeFields(merged, stale, schema) as ApiObject;
  }
  merged = clone(merged);
  const { changed, removed } = compare(live === undefined ? {} : strip(live), strip(merged), schema);
  const conflicts = others
    .map((entry) => ({ entry, fields: intersection(entry.fieldsV1, intersection(changed, wanted)) }))
    .filter(({ fields }) => !isEmptySet(fields));
  if (conflicts.length > 0 && !force) throw refuse(conflicts);
  const kept: ManagedFieldsEntry[] = [];
  for (const entry of others) {
    const conflicting = conflicts.find((item) => item.entry === entry)?.fields ?? {};
    const fields = difference(difference(entry.fieldsV1, conflicting), removed);
    if (!isEmptySet(fields)) kept.push({ ...entry, fieldsV1: fields });
  }
  merged.metadata.managedFields = ordered([...kept, entryOf(author, 'Apply', wanted)]);
  return merged;
}
