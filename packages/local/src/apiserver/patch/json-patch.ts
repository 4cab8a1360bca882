import jsonPatch from 'fast-json-patch';
import { clone, isObject } from '../json.ts';
import { ApiError, badRequest } from '../status.ts';

const MAX_OPERATIONS = 10_000;

/** JSON patch (RFC 6902). Returns a new value; throws a 400 `ApiError` for a malformed patch, 422 for one that does not fit the document. */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  if (patch.length > MAX_OPERATIONS) {
    throw new ApiError(
      413,
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`,
    );
  }
  for (const operation of patch) {
    if (!isObject(operation) || typeof operation.op !== 'string' || typeof operation.path !== 'string') {
      throw badRequest('each operation of a JSON patch needs "op" and "path"');
    }
  }
  try {
    return jsonPatch.applyPatch(clone(target), patch as jsonPatch.Operation[], true, true, true).newDocument;
  } catch (error) {
    const summary = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    throw new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${summary}`);
  }
}
