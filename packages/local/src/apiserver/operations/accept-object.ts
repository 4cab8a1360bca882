import { asObject, depthWithin, isObject } from '../json.ts';
import { typeMismatch } from '../kinds/types.ts';
import { type ApiObject, apiVersionOf } from '../object.ts';
import { OBJECT_META, REF_PREFIX, type Schema } from '../schema/schema.ts';
import { badRequest } from '../status.ts';
import type { Target } from './context.ts';

const MAX_DEPTH = 100;
const META: Schema = { $ref: `${REF_PREFIX}${OBJECT_META}` };

/** Checks that a request's body is an object of the right kind in the right place and gives it its namespace. Raises ApiError 400. */
export function acceptObject(target: Target, body: unknown): ApiObject {
  if (!isObject(body)) throw badRequest('the body of the request must be an object');
  if (!depthWithin(body, MAX_DEPTH)) throw badRequest(`the object is nested deeper than ${MAX_DEPTH} levels`);
  const { definition } = target;
  const apiVersion = apiVersionOf(definition.group, target.version);
  const kind = body.kind;
  const given = body.apiVersion;
  if (kind !== undefined && kind !== '' && kind !== definition.kind) {
    throw badRequest(`${JSON.stringify(kind)} is not of the expected kind ${JSON.stringify(definition.kind)}`);
  }
  if (given !== undefined && given !== '' && given !== apiVersion) {
    throw badRequest(
      `the API version in the data (${typeof given === 'string' ? given : JSON.stringify(given)}) does not match the expected API version (${apiVersion})`,
    );
  }
  const metadata = body.metadata;
  if (metadata !== undefined && metadata !== null && !isObject(metadata))
    throw badRequest('metadata must be an object');
  const mismatch = isObject(metadata) ? typeMismatch(metadata, META, 'ObjectMeta.metadata') : undefined;
  if (mismatch !== undefined) {
    throw badRequest(
      `${definition.kind} in version ${JSON.stringify(target.version)} cannot be handled as a ${definition.kind}: ${mismatch}`,
    );
  }
  const object: ApiObject = {
    ...body,
    apiVersion,
    kind: definition.kind,
    metadata: { ...asObject(metadata) } as ApiObject['metadata'],
  };
  const meta = object.metadata;
  if (definition.namespaced) {
    if (meta.namespace === undefined || meta.namespace === '') meta.namespace = target.namespace;
    else if (meta.namespace !== target.namespace) {
      throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
    }
  } else delete meta.namespace;
  if (target.name !== '') {
    if (meta.name === undefined || meta.name === '') meta.name = target.name;
    else if (meta.name !== target.name) {
      throw badRequest(`the name of the object (${meta.name}) does not match the name on the URL (${target.name})`);
    }
  }
  return object;
}
