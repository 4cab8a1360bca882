import { WireReader } from '@istio-ts/envoy/wire';

/** Reading of messages field by field, for those that come with thousands of values at a time or that the codec has no schema of. */

/** What to do with a field, by its number; others are passed over. */
export type FieldReaders = Readonly<Record<number, (reader: WireReader) => void>>;

const WIRE_TYPE_MASK = 7;

/** Reads a message to its end. Raises DecodeError. */
export function eachField(reader: WireReader, readers: FieldReaders): void {
  while (reader.at < reader.end) {
    const tag = reader.uint32();
    const read = readers[tag >>> 3];
    if (read === undefined) reader.skip(tag & WIRE_TYPE_MASK);
    else read(reader);
  }
}

/** A reader of the message that begins here; this one goes on behind it. */
export function part(reader: WireReader): WireReader {
  const start = reader.lengthDelimited();
  return new WireReader(reader.bytes, start, reader.at);
}
