import { storageKey } from '../definitions.ts';
import { apply } from '../fields/managed-fields.ts';
import { isObject } from '../json.ts';
import { type ApiObject, apiVersionOf, timestamp } from '../object.ts';
import { acceptObject } from '../operations/accept-object.ts';
import { requireNamespace } from '../operations/namespace-lifecycle.ts';
import type { RequestContext, Target } from '../operations/context.ts';
import type { Operations } from '../operations/operations.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import { jsonMerge, strategicMerge } from '../patch/strategic-merge.ts';
import { ApiError, badRequest, notFound } from '../status.ts';

export const PATCH_TYPES = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
] as const;

export type PatchKind = (typeof PATCH_TYPES)[number];

/** The kind of patch of a content type. Throws 415. */
export function patchKind(contentType: string, custom: boolean): PatchKind {
  const type = contentType.split(';')[0]?.trim() ?? '';
  const found = PATCH_TYPES.find((known) => known === type);
  if (found === undefined || (custom && found === 'application/strategic-merge-patch+json')) {
    const known = PATCH_TYPES.filter((item) => !(custom && item === 'application/strategic-merge-patch+json'));
    throw new ApiError(
      415,
      'UnsupportedMediaType',
      `the body of the request was in an unknown format - accepted media types include: ${known.join(', ')}`,
    );
  }
  return found;
}

/** Applies a patch other than server-side apply to an object. */
export function patched(
  operations: Operations,
  target: Target,
  kind: PatchKind,
  current: ApiObject,
  patch: unknown,
): ApiObject {
  let result: unknown;
  switch (kind) {
    case 'application/json-patch+json':
      result = applyJsonPatch(current, patch);
      break;
    case 'application/merge-patch+json':
      if (!isObject(patch)) throw badRequest('a merge patch must be an object');
      result = jsonMerge(current, patch);
      break;
    case 'application/strategic-merge-patch+json':
      if (!isObject(patch)) throw badRequest('a strategic merge patch must be an object');
      result = strategicMerge(current, patch, operations.registry.schema(target.definition, target.version));
      break;
    case 'application/apply-patch+yaml':
      throw badRequest('server-side apply is not a plain patch');
  }
  return acceptObject(target, result);
}

/** PATCH of an object; server-side apply creates it when it does not exist. Returns whether it was created. */
export async function patchObject(
  operations: Operations,
  target: Target,
  kind: PatchKind,
  patch: unknown,
  context: RequestContext,
): Promise<{ readonly object: ApiObject; readonly created: boolean }> {
  if (kind !== 'application/apply-patch+yaml') {
    const object = await operations.update(
      target,
      (current) => patched(operations, target, kind, current, patch),
      context,
    );
    return { object, created: false };
  }
  const { definition, version } = target;
  if (context.fieldManager === '')
    throw new ApiError(
      422,
      'Invalid',
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    );
  const config = acceptObject(target, patch);
  if (config.metadata.managedFields !== undefined && config.metadata.managedFields.length > 0)
    throw badRequest('metadata.managedFields must be nil');
  delete config.metadata.managedFields;
  const schema = operations.registry.schema(definition, version);
  const author = {
    manager: context.fieldManager,
    apiVersion: apiVersionOf(definition.group, version),
    subresource: target.subresource,
    time: timestamp(operations.now()),
  };
  const stored = operations.store.get(storageKey(definition), target.namespace, target.name);
  if (stored === undefined) {
    if (target.subresource !== '') throw notFound(definition, target.name);
    if (config.metadata.uid !== undefined) {
      throw new ApiError(
        409,
        'Conflict',
        `Operation cannot be fulfilled on ${definition.resource} "${target.name}": uid mismatch: the provided object specified uid ${config.metadata.uid}, and no existing object was found`,
      );
    }
    requireNamespace(operations.store, target, target.name);
    const object = apply(undefined, config, schema, author, context.force);
    return { object: await operations.create(target, object, context, true), created: true };
  }
  const object = await operations.update(
    target,
    (current) => {
      const merged = apply(current, config, schema, author, context.force);
      // An applier that names a resourceVersion wants exactly that state to be the base.
      merged.metadata.resourceVersion = config.metadata.resourceVersion ?? current.metadata.resourceVersion;
      return merged;
    },
    context,
    true,
  );
  return { object, created: false };
}
