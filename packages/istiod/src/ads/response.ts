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

function lengthOf(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}

/** A google.protobuf.Any around the resource's bytes, which are shared and not copied. */
function anyParts(resource: XdsResource): Uint8Array[] {
  return [text(1, resource.typeUrl), head(2, resource.value.length), resource.value];
}

/** The encoded envoy.service.discovery.v3.DiscoveryResponse in parts. */
export function discoveryResponse(push: PushResponse, controlPlane: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [text(DISCOVERY.version, push.version)];
  for (const resource of push.resources) {
    const any = anyParts(resource);
    parts.push(head(DISCOVERY.resources, lengthOf(any)), ...any);
  }
  parts.push(text(DISCOVERY.typeUrl, push.typeUrl), text(DISCOVERY.nonce, push.nonce));
  parts.push(head(DISCOVERY.controlPlane, controlPlane.length), controlPlane);
  return parts;
}

/** The encoded envoy.service.discovery.v3.DeltaDiscoveryResponse in parts. */
export function deltaResponse(push: PushResponse, controlPlane: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [text(DELTA.version, push.version)];
  for (const resource of push.resources) {
    const any = anyParts(resource);
    const inner = [text(1, resource.version), head(2, lengthOf(any)), ...any, text(3, resource.name)];
    parts.push(head(DELTA.resources, lengthOf(inner)), ...inner);
  }
  parts.push(text(DELTA.typeUrl, push.typeUrl), text(DELTA.nonce, push.nonce));
  for (const name of push.removed) parts.push(text(DELTA.removed, name));
  parts.push(head(DELTA.controlPlane, controlPlane.length), controlPlane);
  return parts;
}
