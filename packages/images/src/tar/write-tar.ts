import type { Entry } from './entry.ts';
import { plainPath } from './path.ts';

const BLOCK = 512;
const ZEROS = Buffer.alloc(2 * BLOCK);

const typeFlags = { file: '0', link: '2', directory: '5' } as const;

/**
 * A tar archive (POSIX.1-2001 ustar, with pax records where a name is too long for its field), piece by piece. Its bytes depend on the entries only: they are
 * written in the given order, all with the time `seconds` since 1970 and with numeric owners. Throws a RangeError for a number that no header can hold, and an Error for a
 * path that leads out of the archive.
 */
export function* tarPieces(entries: Iterable<Entry>, seconds: number): Generator<Buffer> {
  for (const entry of entries) {
    plainPath(entry.path);
    const name = entry.kind === 'directory' ? `${entry.path}/` : entry.path;
    const target = Buffer.from(entry.kind === 'link' ? entry.target : '');
    const data = entry.kind === 'file' ? entry.data : undefined;
    const split = splitName(name);
    const records: [string, Buffer][] = [];
    if (split === undefined) records.push(['path', Buffer.from(name)]);
    if (target.length > 100) records.push(['linkpath', target]);
    if (records.length > 0) {
      const body = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
      yield header({
        name: Buffer.from('pax'),
        prefix: Buffer.alloc(0),
        type: 'x',
        mode: 0o644,
        size: body.length,
        seconds,
      });
      yield* padded(body);
    }
    yield header({
      name: Buffer.from(split?.name ?? name),
      prefix: Buffer.from(split?.prefix ?? ''),
      type: typeFlags[entry.kind],
      mode: entry.kind === 'link' ? 0o777 : entry.mode,
      user: entry.owner.user,
      group: entry.owner.group,
      size: data?.length ?? 0,
      target,
      seconds,
    });
    if (data !== undefined) yield* padded(data);
  }
  yield ZEROS;
}

/** The whole archive of {@link tarPieces}. */
export const writeTar = (entries: Iterable<Entry>, seconds: number): Buffer =>
  Buffer.concat([...tarPieces(entries, seconds)]);

interface Header {
  /** What is longer than its field is cut; a pax record before has the whole. */
  readonly name: Buffer;
  readonly prefix: Buffer;
  readonly type: string;
  readonly mode: number;
  readonly size: number;
  readonly seconds: number;
  readonly user?: number;
  readonly group?: number;
  readonly target?: Buffer;
}

function header(fields: Header): Buffer {
  const block = Buffer.alloc(BLOCK);
  fields.name.copy(block, 0, 0, 100);
  octal(block, fields.mode, 100, 8);
  octal(block, fields.user ?? 0, 108, 8);
  octal(block, fields.group ?? 0, 116, 8);
  octal(block, fields.size, 124, 12);
  octal(block, fields.seconds, 136, 12);
  block.fill(' ', 148, 156);
  block.write(fields.type, 156, 1);
  fields.target?.copy(block, 157, 0, 100);
  block.write('ustar\0', 257, 'latin1');
  block.write('00', 263);
  fields.prefix.copy(block, 345, 0, 155);
  let sum = 0;
  for (let index = 0; index < BLOCK; index++) sum += block[index] ?? 0;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function octal(block: Buffer, value: number, offset: number, length: number): void {
  const text = value.toString(8).padStart(length - 1, '0');
  if (text.length > length - 1 || value < 0) throw new RangeError(`${value} is too large for a tar header`);
  block.write(text, offset, 'latin1');
}

/** How a name goes into the fields `name` and `prefix` of a ustar header; undefined when it does not. */
function splitName(name: string): { readonly name: string; readonly prefix: string } | undefined {
  if (Buffer.byteLength(name) <= 100) return { name, prefix: '' };
  for (let slash = name.indexOf('/'); slash >= 0 && slash < name.length - 1; slash = name.indexOf('/', slash + 1)) {
    const prefix = name.slice(0, slash);
    const rest = name.slice(slash + 1);
    if (Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(rest) <= 100) return { name: rest, prefix };
  }
  return undefined;
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function* padded(data: Buffer): Generator<Buffer> {
  if (data.length > 0) yield data;
  const missing = (BLOCK - (data.length % BLOCK)) % BLOCK;
  if (missing > 0) yield ZEROS.subarray(0, missing);
}
