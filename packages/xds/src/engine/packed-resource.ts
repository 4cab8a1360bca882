import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { decodeUnchecked } from '@istio-ts/envoy';
import type { Generated } from '../generated.ts';
import type { XdsResource } from '../source.ts';
import { encodeResource } from './resource.ts';
import type { ResourceType } from './type-urls.ts';

/** Smaller ones are kept as they are. */
const WORTH_PACKING = 6 * 1024;

/** A copy in memory of its own: a part of a larger buffer would keep all of that. */
function apart(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

/**
 * Encodes a resource and keeps its bytes compressed until somebody needs them: for large resources that belong to few proxies and are sent to each
 * of them once. What repeats in a listener, such as the labels of each metric of each filter chain, is found by the fastest level too. Raises
 * `EncodeError` as `encodeResource` does.
 */
export function encodePacked(type: ResourceType, name: string, generated: Generated<unknown>): XdsResource {
  const resource = encodeResource(type, name, generated);
  const size = resource.value.length;
  if (size < WORTH_PACKING) return resource;
  const { typeUrl, version, origins } = resource;
  const deflated = apart(deflateRawSync(resource.value, { level: 1 }));
  const inflate = (): Buffer => inflateRawSync(deflated, { chunkSize: size });
  let last = new WeakRef(resource.value);
  return {
    typeUrl,
    name,
    version,
    origins,
    size,
    get value() {
      const kept = last.deref();
      if (kept !== undefined) return kept;
      const bytes = inflate();
      last = new WeakRef(bytes);
      return bytes;
    },
    json: () => decodeUnchecked(type, inflate()),
  };
}
