import type { XdsResource } from '@istio-ts/xds';

/** One response of a stream: what changed of one type. */
export interface PushResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly version: string;
  readonly resources: readonly XdsResource[];
  readonly removed: readonly string[];
}

/** Field numbers of DiscoveryResponse (state of the world) and DeltaDiscoveryResponse; the types have different ones. */
const DISCOVERY = { version: 1, resources: 2, typeUrl: 4, nonce: 5, controlPlane: 6 } as const;
const DELTA = { version: 1, resources: 2, typeUrl: 4, nonce: 5, removed: 6, controlPlane: 7 } as const;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return bytes;
}

/** Tag and length of a length-delimited field. */
function head(field: number, length: number): Buffer {
  return Buffer.from([field * 8 + 2, ...varint(length)]);
}

function text(field: number, value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([head(field, bytes.length), bytes]);
}

/**
 * What stands before a resource's bytes in a response, by resource: made once and shared by all proxies that get it.
 * The bytes come last in both protocols' wrappers, so one part before them is enough.
 */
const worldHeads = new WeakMap<XdsResource, Buffer>();
const deltaHeads = new WeakMap<XdsResource, Buffer>();

/** Field and length of a google.protobuf.Any, its type URL and the tag and length of its value. */
function anyHead(field: number, resource: XdsResource): Buffer {
  const inner = Buffer.concat([text(1, resource.typeUrl), head(2, resource.value.length)]);
  return Buffer.concat([head(field, inner.length + resource.value.length), inner]);
}

function worldHead(resource: XdsResource): Buffer {
  return anyHead(DISCOVERY.resources, resource);
}

function deltaHead(resource: XdsResource): Buffer {
  // envoy.service.discovery.v3.Resource: version, name, and last the resource itself.
  const inner = Buffer.concat([text(1, resource.version), text(3, resource.name), anyHead(2, resource)]);
  return Buffer.concat([head(DELTA.resources, inner.length + resource.value.length), inner]);
}

function cached(
  heads: WeakMap<XdsResource, Buffer>,
  resource: XdsResource,
  make: (resource: XdsResource) => Buffer,
): Buffer {
  const known = heads.get(resource);
  if (known !== undefined) return known;
  const made = make(resource);
  heads.set(resource, made);
  return made;
}

/** The encoded envoy.service.discovery.v3.DiscoveryResponse in parts. */
export function discoveryResponse(push: PushResponse, controlPlane: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [text(DISCOVERY.version, push.version)];
  for (const resource of push.resources) parts.push(cached(worldHeads, resource, worldHead), resource.value);
  parts.push(text(DISCOVERY.typeUrl, push.typeUrl), text(DISCOVERY.nonce, push.nonce));
  parts.push(head(DISCOVERY.controlPlane, controlPlane.length), controlPlane);
  return parts;
}

/** The encoded envoy.service.discovery.v3.DeltaDiscoveryResponse in parts. */
export function deltaResponse(push: PushResponse, controlPlane: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [text(DELTA.version, push.version)];
  for (const resource of push.resources) parts.push(cached(deltaHeads, resource, deltaHead), resource.value);
  parts.push(text(DELTA.typeUrl, push.typeUrl), text(DELTA.nonce, push.nonce));
  for (const name of push.removed) parts.push(text(DELTA.removed, name));
  parts.push(head(DELTA.controlPlane, controlPlane.length), controlPlane);
  return parts;
}
