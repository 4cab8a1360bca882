import { ReverseWriter, WireReader, WireType } from '@istio-ts/envoy/wire';

/**
 * Reading and changing one place deep inside an encoded message without knowing the rest of it: everything else stays as it is, byte by byte. A path is
 * the numbers of the fields that lead there; all of them hold messages, texts or bytes.
 */
export type WirePath = readonly number[];

interface Span {
  /** Where the field begins, its tag included, and where it ends. */
  readonly start: number;
  readonly end: number;
  readonly content: Buffer;
}

function* spans(bytes: Buffer, wanted: number): Generator<Span> {
  const reader = new WireReader(bytes);
  while (reader.at < reader.end) {
    const start = reader.at;
    const tag = reader.uint32();
    if ((tag & 7) !== WireType.Bytes || tag >>> 3 !== wanted) {
      reader.skip(tag & 7);
      continue;
    }
    const from = reader.lengthDelimited();
    yield { start, end: reader.at, content: bytes.subarray(from, reader.at) };
  }
}

/** All values at the end of a path. Raises DecodeError for what is no message. */
export function valuesAt(bytes: Buffer, [field, ...rest]: WirePath): readonly Buffer[] {
  if (field === undefined) return [bytes];
  return [...spans(bytes, field)].flatMap(({ content }) => valuesAt(content, rest));
}

export const textAt = (bytes: Buffer, path: WirePath): string => valuesAt(bytes, path).at(-1)?.toString('utf8') ?? '';

function field(number: number, content: Uint8Array): Buffer {
  const writer = new ReverseWriter();
  writer.bytes(content);
  writer.varint(content.length);
  writer.varint((number << 3) | WireType.Bytes);
  return writer.take();
}

export { field as encodeField };

/** The message with the values at the end of a path changed; undefined takes one away. Raises DecodeError for what is no message. */
export function changeAt(
  bytes: Buffer,
  [number, ...rest]: WirePath,
  change: (value: Buffer) => Uint8Array | undefined,
): Buffer {
  if (number === undefined) return Buffer.from(change(bytes) ?? []);
  const parts: Buffer[] = [];
  let at = 0;
  for (const { start, end, content } of spans(bytes, number)) {
    parts.push(bytes.subarray(at, start));
    const changed = rest.length === 0 ? change(content) : changeAt(content, rest, change);
    if (changed !== undefined) parts.push(field(number, changed));
    at = end;
  }
  parts.push(bytes.subarray(at));
  return Buffer.concat(parts);
}
