import { createHash } from 'node:crypto';
import { decodeUnchecked, encodeUnchecked, typeUrl } from '@istio-ts/envoy';
import { structurallyEqual } from '@istio-ts/collections';
import type { Generated } from '../generated.ts';
import type { XdsResource } from '../source.ts';
import type { ResourceType } from './type-urls.ts';

const counts = new Map<ResourceType, number>();

/** How many resources of each type this process has encoded since it started. */
export const encodedResources = (): ReadonlyMap<ResourceType, number> => counts;

/**
 * Encodes a resource, once. Its version is a hash of its bytes, so every replica of the control plane gives the same content the same version.
 * The plain object is not kept; `json` decodes it again. Raises `EncodeError` (with the JSON path) for an object that is no such message.
 */
export function encodeResource(type: ResourceType, name: string, generated: Generated<unknown>): XdsResource {
  const value = encodeUnchecked(type, generated.resource);
  counts.set(type, (counts.get(type) ?? 0) + 1);
  return {
    typeUrl: typeUrl(type),
    name,
    version: createHash('sha256').update(value).digest('hex').slice(0, 16),
    value,
    json: () => decodeUnchecked(type, value),
    origins: generated.origins,
  };
}

/** A resource with other origins: the same bytes. */
function withOrigins(resource: XdsResource, origins: XdsResource['origins']): XdsResource {
  return Object.defineProperties({} as XdsResource, {
    ...Object.getOwnPropertyDescriptors(resource),
    origins: { value: origins, enumerable: true },
  });
}

/** Remembers encoded resources by the identity of the generated object: generators return the same object as long as nothing changed. */
export function encodingMemo(
  type: ResourceType,
  encode: typeof encodeResource = encodeResource,
): (name: string, generated: Generated<object>) => XdsResource {
  const remembered = new WeakMap<object, XdsResource>();
  return (name, generated) => {
    const known = remembered.get(generated.resource);
    if (known && known.name === name && structurallyEqual(known.origins, generated.origins)) return known;
    // The same content with other origins has the same bytes.
    const encoded =
      known && known.name === name ? withOrigins(known, generated.origins) : encode(type, name, generated);
    remembered.set(generated.resource, encoded);
    return encoded;
  };
}

/** `next` with the old instances of resources that did not change; the old map itself where nothing did. */
export function keepUnchanged(
  old: ReadonlyMap<string, XdsResource> | undefined,
  next: Map<string, XdsResource>,
): ReadonlyMap<string, XdsResource> {
  if (!old) return next;
  let same = old.size === next.size;
  for (const [name, resource] of next) {
    const before = old.get(name);
    if (before === resource) continue;
    if (before && before.version === resource.version && structurallyEqual(before.origins, resource.origins))
      next.set(name, before);
    else same = false;
  }
  return same ? old : next;
}
