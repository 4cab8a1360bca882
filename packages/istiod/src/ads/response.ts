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

/** Length of a resource's bytes. */
export const sizeOf = (resource: XdsResource): number => resource.size ?? resource.value.length;

/** Field and length of a google.protobuf.Any, its type URL and the tag and length of its value. */
function anyHead(field: number, resource: XdsResource): Buffer {
  const size = sizeOf(resource);
  const inner = Buffer.concat([text(1, resource.typeUrl), head(2, size)]);
  return Buffer.concat([head(field, inner.length + size), inner]);
}

function worldHead(resource: XdsResource): Buffer {
  return anyHead(DISCOVERY.resources, resource);
}

function deltaHead(resource: XdsResource): Buffer {
  // envoy.service.discovery.v3.Resource: version, name, and last the resource itself.
  const inner = Buffer.concat([text(1, resource.version), text(3, resource.name), anyHead(2, resource)]);
  return Buffer.concat([head(DELTA.resources, inner.length + sizeOf(resource)), inner]);
}

function unpooled(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

function cached(
  heads: WeakMap<XdsResource, Buffer>,
  resource: XdsResource,
  make: (resource: XdsResource) => Buffer,
): Buffer {
  const known = heads.get(resource);
  if (known !== undefined) return known;
  // In memory of its own: a few bytes of the pool that all small buffers are cut from would keep all of the pool.
  const made = unpooled(make(resource));
  heads.set(resource, made);
  return made;
}

/** A run of resources with what stands before each, as one piece. */
interface Block {
  readonly resources: readonly XdsResource[];
  readonly bytes: Buffer;
}

/**
 * Blocks with the same first resource. There are several where classes of proxies differ in a few resources in between, as virtual hosts do, whose
 * domains depend on the client's namespace. All but the last are kept only as long as memory is not needed otherwise: they may be out of date.
 */
interface Blocks {
  last: Block;
  others: readonly WeakRef<Block>[];
}

const deltaBlocks = new WeakMap<XdsResource, Blocks>();
const worldBlocks = new WeakMap<XdsResource, Blocks>();
const MAX_OTHERS = 31;
/** Shorter runs are not worth a copy. */
const MIN_BLOCK = 16;
const MAX_BLOCK = 256;

/** Whether a block ends after a resource: by its content, so that the blocks of two clients are the same where their resources are. */
const endsBlock = (resource: XdsResource): boolean =>
  resource.version.endsWith('0') && /[0-3]0$/.test(resource.version);

/** How one protocol wraps resources, and what is remembered of it. */
interface Wrapping {
  readonly heads: WeakMap<XdsResource, Buffer>;
  readonly head: (resource: XdsResource) => Buffer;
  readonly blocks: WeakMap<XdsResource, Blocks>;
}
const DELTA_WRAPPING: Wrapping = { heads: deltaHeads, head: deltaHead, blocks: deltaBlocks };
const WORLD_WRAPPING: Wrapping = { heads: worldHeads, head: worldHead, blocks: worldBlocks };

function resourceParts(wrapping: Wrapping, resources: readonly XdsResource[]): Iterable<Uint8Array> {
  return resources.length < MIN_BLOCK
    ? resources.flatMap((resource) => [cached(wrapping.heads, resource, wrapping.head), resource.value])
    : blockParts(wrapping, resources);
}

function blockOf({ blocks, head }: Wrapping, first: XdsResource, run: readonly XdsResource[]): Block {
  const isIt = (block: Block | undefined): block is Block =>
    block?.resources.length === run.length && block.resources.every((one, i) => one === run[i]);
  const known = blocks.get(first);
  if (isIt(known?.last)) return known.last;
  const others = (known?.others ?? []).flatMap((ref) => ref.deref() ?? []);
  // Heads are made for the block alone.
  const block = others.find(isIt) ?? {
    resources: run,
    bytes: Buffer.concat(run.flatMap((one) => [head(one), one.value])),
  };
  if (known === undefined) blocks.set(first, { last: block, others: [] });
  else {
    const before = [known.last, ...others.filter((other) => other !== block)];
    known.others = before.slice(0, MAX_OTHERS).map((other) => new WeakRef(other));
    known.last = block;
  }
  return block;
}

/**
 * The resources of a large response as blocks: most clients get the same ones in the same order, and then each block exists once for all of them.
 */
function* blockParts(wrapping: Wrapping, resources: readonly XdsResource[]): Generator<Uint8Array> {
  let at = 0;
  while (at < resources.length) {
    let end = at + 1;
    while (end < resources.length && end - at < MAX_BLOCK && !endsBlock(resources[end - 1] as XdsResource)) end++;
    const run = resources.slice(at, end);
    at = end;
    if (run.length < MIN_BLOCK) {
      for (const resource of run) yield* [cached(wrapping.heads, resource, wrapping.head), resource.value];
      continue;
    }
    const [first] = run;
    if (first === undefined) return;
    yield blockOf(wrapping, first, run).bytes;
  }
}

/** The encoded envoy.service.discovery.v3.DiscoveryResponse in parts. */
export function discoveryResponse(push: PushResponse, controlPlane: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [text(DISCOVERY.version, push.version)];
  parts.push(...resourceParts(WORLD_WRAPPING, push.resources));
  parts.push(text(DISCOVERY.typeUrl, push.typeUrl), text(DISCOVERY.nonce, push.nonce));
  parts.push(head(DISCOVERY.controlPlane, controlPlane.length), controlPlane);
  return parts;
}

/** What is the same in all responses of a type. */
const constants = new WeakMap<Uint8Array, Map<string, Buffer>>();

function constantParts(typeUrl: string, controlPlane: Uint8Array): Buffer {
  const byType = constants.get(controlPlane) ?? new Map<string, Buffer>();
  constants.set(controlPlane, byType);
  const known = byType.get(typeUrl);
  if (known !== undefined) return known;
  const made = unpooled(
    Buffer.concat([text(DELTA.typeUrl, typeUrl), head(DELTA.controlPlane, controlPlane.length), controlPlane]),
  );
  // Debug types are made up by those who ask.
  if (byType.size < 64) byType.set(typeUrl, made);
  return made;
}

/** Version and nonce: short ASCII texts, so that each length is one byte. */
function versionAndNonce({ version, nonce }: PushResponse): Buffer {
  if (version.length > 127 || nonce.length > 127)
    return Buffer.concat([text(DELTA.version, version), text(DELTA.nonce, nonce)]);
  const bytes = Buffer.allocUnsafe(4 + version.length + nonce.length);
  bytes[0] = DELTA.version * 8 + 2;
  bytes[1] = version.length;
  bytes.write(version, 2, 'latin1');
  bytes[2 + version.length] = DELTA.nonce * 8 + 2;
  bytes[3 + version.length] = nonce.length;
  bytes.write(nonce, 4 + version.length, 'latin1');
  return bytes;
}

/** The encoded envoy.service.discovery.v3.DeltaDiscoveryResponse in parts. */
export function deltaResponse(push: PushResponse, controlPlane: Uint8Array): Uint8Array[] {
  const { resources } = push;
  const parts: Uint8Array[] = [versionAndNonce(push)];
  parts.push(...resourceParts(DELTA_WRAPPING, resources));
  for (const name of push.removed) parts.push(text(DELTA.removed, name));
  parts.push(constantParts(push.typeUrl, controlPlane));
  return parts;
}
