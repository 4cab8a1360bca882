import type { LabelRequirement } from '@istio-ts/kube';
import { convert } from '../conversion.ts';
import { storageKey } from '../definitions.ts';
import { asObject } from '../json.ts';
import { type ApiObject, apiVersionOf, objectKey } from '../object.ts';
import type { Target } from '../operations/context.ts';
import type { Operations } from '../operations/operations.ts';
import {
  type FieldRequirement,
  matchesFields,
  matchesRequirements,
  parseFieldSelector,
  parseLabelSelector,
} from '../selectors.ts';
import { badRequest, expired } from '../status.ts';

/** Which objects of a collection a request is about. */
export interface Selection {
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly labels: readonly LabelRequirement[];
  readonly fields: readonly FieldRequirement[];
}

/** Reads the selectors of a query. Throws a 400 `ApiError`. */
export function selectionOf(target: Target, query: URLSearchParams): Selection {
  return {
    namespace: target.namespace === '' ? undefined : target.namespace,
    name: target.name === '' ? undefined : target.name,
    labels: parseLabelSelector(query.get('labelSelector') ?? ''),
    fields: parseFieldSelector(query.get('fieldSelector') ?? '', storageKey(target.definition)),
  };
}

export function selects(selection: Selection, object: ApiObject): boolean {
  const { metadata } = object;
  if (selection.namespace !== undefined && metadata.namespace !== selection.namespace) return false;
  if (selection.name !== undefined && metadata.name !== selection.name) return false;
  return matchesRequirements(asObject(metadata.labels), selection.labels) && matchesFields(object, selection.fields);
}

interface ContinueToken {
  readonly revision: string;
  readonly after: string;
}

function decodeToken(text: string): ContinueToken {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    const { revision, after } = asObject(parsed);
    if (typeof revision === 'string' && typeof after === 'string') return { revision, after };
  } catch {
    // Damaged: said below.
  }
  throw badRequest('continue key is not valid: it was not made by this server');
}

export interface ListResult {
  readonly items: ApiObject[];
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
}

/**
 * The objects of a collection, a page of them where `limit` is given. Pages after the first show the present state but carry the
 * resourceVersion of the first, so that a watch from there reports whatever changed in between.
 */
export function list(operations: Operations, target: Target, selection: Selection, query: URLSearchParams): ListResult {
  const { store } = operations;
  const { definition, version } = target;
  const wanted = query.get('resourceVersion') ?? '';
  if (wanted !== '' && !/^\d+$/.test(wanted))
    throw badRequest(`Invalid value: ${JSON.stringify(wanted)}: resourceVersion must be a number`);
  if (wanted !== '' && Number(wanted) > store.revision)
    throw expired(`Too large resource version: ${wanted}, current: ${store.revision}`);
  const limit = Number(query.get('limit') ?? '0') || 0;
  const token = query.get('continue') ?? '';
  const position = token === '' ? undefined : decodeToken(token);
  let found = store.list(storageKey(definition), selection.namespace).filter((object) => selects(selection, object));
  if (position !== undefined)
    found = found.filter((object) => objectKey(object.metadata.namespace ?? '', object.metadata.name) > position.after);
  const revision = position?.revision ?? String(store.revision);
  const page = limit > 0 && found.length > limit ? found.slice(0, limit) : found;
  const last = page.at(-1);
  const more = page.length < found.length && last !== undefined;
  return {
    items: page.map((object) => convert(object, definition, version)),
    metadata: {
      resourceVersion: revision,
      ...(more
        ? {
            continue: Buffer.from(
              JSON.stringify({ revision, after: objectKey(last.metadata.namespace ?? '', last.metadata.name) }),
            ).toString('base64url'),
            ...(selection.labels.length + selection.fields.length === 0
              ? { remainingItemCount: found.length - page.length }
              : {}),
          }
        : {}),
    },
  };
}

export function listObject(target: Target, result: ListResult): object {
  const { definition, version } = target;
  return {
    kind: definition.listKind,
    apiVersion: apiVersionOf(definition.group, version),
    metadata: result.metadata,
    items: result.items,
  };
}
