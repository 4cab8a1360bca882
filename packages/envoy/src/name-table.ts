import { ReverseWriter, WireReader, WireType } from './wire.ts';

/** Type URL of the names that an agent's DNS proxy answers (Istio, `networking.nds.v1`). */
export const NAME_TABLE_TYPE = 'type.googleapis.com/istio.networking.nds.v1.NameTable';

/** What is known about one host name. */
export interface NameInfo {
  readonly ips: readonly string[];
  /** `Kubernetes` or `External`; names of the first kind have short forms. */
  readonly registry: string;
  /** Kubernetes' name of the service, with that of the pod in front where it is a pod's. */
  readonly shortname: string;
  readonly namespace: string;
}

/** By host name, lower case, without a dot at the end; may start with `*.`. */
export type NameTable = ReadonlyMap<string, NameInfo>;

/**
 * Writes a table, in the order of its entries. By hand, like its reader: agents read it, and the descriptors of all messages would cost each of them
 * more memory than the names of the whole mesh.
 */
export function encodeNameTable(table: NameTable): Uint8Array {
  const writer = new ReverseWriter();
  const text = (field: number, value: string): void => {
    if (value === '') return;
    const before = writer.length;
    writer.string(value);
    finish(field, before);
  };
  const finish = (field: number, before: number): void => {
    writer.varint(writer.length - before);
    writer.varint((field << 3) | WireType.Bytes);
  };
  for (const [host, info] of [...table].reverse()) {
    const entry = writer.length;
    const value = writer.length;
    text(4, info.namespace);
    text(3, info.shortname);
    text(2, info.registry);
    for (const ip of [...info.ips].reverse()) text(1, ip);
    finish(2, value);
    text(1, host);
    finish(1, entry);
  }
  return writer.take();
}

/** Raises DecodeError for bytes that are no NameTable. */
export function decodeNameTable(bytes: Uint8Array): NameTable {
  const table = new Map<string, NameInfo>();
  fieldsOf(new WireReader(bytes), {
    1: (reader) => {
      let host = '';
      let info: NameInfo = { ips: [], registry: '', shortname: '', namespace: '' };
      within(reader, {
        1: (inner) => {
          host = inner.string();
        },
        2: (inner) => {
          info = readInfo(inner);
        },
      });
      table.set(host, info);
    },
  });
  return table;
}

function readInfo(reader: WireReader): NameInfo {
  const ips: string[] = [];
  const texts = { registry: '', shortname: '', namespace: '' };
  within(reader, {
    1: (inner) => ips.push(inner.string()),
    2: (inner) => {
      texts.registry = inner.string();
    },
    3: (inner) => {
      texts.shortname = inner.string();
    },
    4: (inner) => {
      texts.namespace = inner.string();
    },
  });
  return { ips, ...texts };
}

type Readers = Readonly<Record<number, (reader: WireReader) => void>>;

/** Reads the message that comes next, with its length in front. */
function within(reader: WireReader, readers: Readers): void {
  const start = reader.lengthDelimited();
  fieldsOf(new WireReader(reader.bytes, start, reader.at), readers);
}

function fieldsOf(reader: WireReader, readers: Readers): void {
  while (reader.at < reader.end) {
    const tag = reader.uint32();
    const read = (tag & 7) === WireType.Bytes ? readers[tag >>> 3] : undefined;
    if (read) read(reader);
    else reader.skip(tag & 7);
  }
}
