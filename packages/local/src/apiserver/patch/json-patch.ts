import jsonPatch from 'fast-json-patch';
import { clone, isObject } from '../json.ts';
import { ApiError, badRequest } from '../status.ts';

const MAX_OPERATIONS = 10_000;
/** Characters that all "copy" operations of a patch may add together; each may double the document. The limit of a real server. */
const MAX_COPIED = 3 * 1024 * 1024;

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
  const copies = patch.some((operation) => operation.op === 'copy');
  try {
    if (copies) return withCopies(target, patch as jsonPatch.Operation[]);
    return jsonPatch.applyPatch(clone(target), patch as jsonPatch.Operation[], true, true, true).newDocument;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    const summary = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    throw new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${summary}`);
  }
}

function withCopies(target: unknown, patch: readonly jsonPatch.Operation[]): unknown {
  let document = clone(target);
  let copied = 0;
  for (const operation of patch) {
    if (operation.op === 'copy') {
      copied += JSON.stringify(jsonPatch.getValueByPointer(document, operation.from) ?? null).length;
      if (copied > MAX_COPIED) {
        throw new ApiError(
          413,
          'RequestEntityTooLarge',
          `The "copy" operations of the JSON patch add more than ${MAX_COPIED} bytes`,
        );
      }
    }
    document = jsonPatch.applyOperation(document, operation, true, true, true).newDocument;
  }
  return document;
}
