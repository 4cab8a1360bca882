import type { JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';

/** How a client wants objects to be written. */
export type Representation =
  | { readonly kind: 'object' }
  | { readonly kind: 'table'; readonly version: string }
  | { readonly kind: 'metadata'; readonly version: string };

/** Reads the `Accept` header. Anything that this server cannot write (protobuf) is answered with plain JSON. */
export function negotiate(accept: string | undefined): Representation {
  for (const range of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    if (!type.endsWith('json') && !type.includes('protobuf')) continue;
    const values = new Map(parameters.map((parameter) => parameter.split('=', 2) as [string, string]));
    const version = values.get('v') ?? 'v1';
    const as = values.get('as');
    if (as === undefined) {
      if (type.includes('protobuf')) continue;
      return { kind: 'object' };
    }
    if (version !== 'v1' && version !== 'v1beta1') continue;
    if (as === 'Table') return { kind: 'table', version };
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { kind: 'metadata', version };
  }
  return { kind: 'object' };
}

export function partialMetadata(object: ApiObject, version: string): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}
