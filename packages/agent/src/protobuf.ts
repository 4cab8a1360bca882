import { ReverseWriter, WireReader, WireType } from '@istio-ts/envoy/wire';

/** Writes one field or several. */
export type Field = (writer: ReverseWriter) => void;

/** Fields are given in order and written from the last to the first, as the writer goes backwards. */
export function message(...fields: readonly (Field | undefined)[]): Field {
  return (writer) => {
    for (let at = fields.length - 1; at >= 0; at--) fields[at]?.(writer);
  };
}

export function encode(field: Field): Buffer {
  const writer = new ReverseWriter();
  field(writer);
  return writer.take();
}

export function text(number: number, value: string): Field | undefined {
  if (value === '') return undefined;
  return nested(number, (writer) => writer.string(value));
}

export function nested(number: number, content: Field): Field {
  return (writer) => {
    const before = writer.length;
    content(writer);
    writer.varint(writer.length - before);
    writer.varint((number << 3) | WireType.Bytes);
  };
}

export function integer(number: number, value: number): Field | undefined {
  if (value === 0) return undefined;
  return (writer) => {
    writer.varint64(BigInt(value));
    writer.varint((number << 3) | WireType.Varint);
  };
}

/** Walks over the fields; `take` returns false for those it leaves, which are skipped. Fields that it takes are all length-delimited. */
export function readFields(bytes: Uint8Array, take: (number: number, reader: WireReader) => boolean): void {
  const reader = new WireReader(bytes);
  while (reader.at < reader.end) {
    const tag = reader.uint32();
    const wireType = tag & 7;
    if (wireType !== WireType.Bytes || !take(tag >>> 3, reader)) reader.skip(wireType);
  }
}
