import { plainPath } from './path.ts';

/** What an archive says about one entry; `path` as it is written there. */
export interface ArchivedEntry {
  readonly path: string;
  readonly kind: 'file' | 'link' | 'hard link' | 'directory' | 'other';
  readonly mode: number;
  readonly user: number;
  readonly group: number;
  /** Seconds since 1970. */
  readonly time: number;
  /** Where a link leads; '' for others. */
  readonly target: string;
  readonly data: Buffer;
}

const BLOCK = 512;
const EMPTY = Buffer.alloc(BLOCK);

/** The entries of a tar archive: ustar, GNU's long names and pax records. Throws an Error where the archive ends too early, a checksum is wrong or a path leads out of it. */
export function readTar(archive: Buffer): ArchivedEntry[] {
  const entries: ArchivedEntry[] = [];
  let long: { path?: string | undefined; target?: string | undefined } = {};
  let offset = 0;
  while (offset + BLOCK <= archive.length) {
    const block = archive.subarray(offset, offset + BLOCK);
    if (block.equals(EMPTY)) break;
    checkSum(block, offset);
    const size = number(block, 124, 12);
    const start = offset + BLOCK;
    if (start + size > archive.length) throw new Error(`the archive ends within an entry at byte ${offset}`);
    const data = archive.subarray(start, start + size);
    offset = start + Math.ceil(size / BLOCK) * BLOCK;
    const type = String.fromCharCode(block[156] ?? 0);
    if (type === 'L' || type === 'K') {
      const value = text(data, 0, data.length);
      long = type === 'L' ? { ...long, path: value } : { ...long, target: value };
      continue;
    }
    if (type === 'x') {
      const records = paxRecords(data);
      long = { path: records.get('path') ?? long.path, target: records.get('linkpath') ?? long.target };
      continue;
    }
    if (type === 'g') continue;
    const prefix = text(block, 257, 6).startsWith('ustar') && block[262] === 0 ? text(block, 345, 155) : '';
    const name = text(block, 0, 100);
    const path = long.path ?? (prefix === '' ? name : `${prefix}/${name}`);
    const target = long.target ?? text(block, 157, 100);
    const kind = kinds[type] ?? 'other';
    plainPath(path);
    if (kind === 'hard link') plainPath(target);
    entries.push({
      path,
      kind,
      mode: number(block, 100, 8),
      user: number(block, 108, 8),
      group: number(block, 116, 8),
      time: number(block, 136, 12),
      target,
      data: kind === 'file' ? data : Buffer.alloc(0),
    });
    long = {};
  }
  return entries;
}

const kinds: Readonly<Record<string, ArchivedEntry['kind']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hard link',
  '2': 'link',
  '5': 'directory',
};

function text(block: Buffer, offset: number, length: number): string {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end);
}

function number(block: Buffer, offset: number, length: number): number {
  // GNU's form for large numbers: the first bit is set, the second one for negative numbers, and the rest is binary.
  const first = block[offset] ?? 0;
  if (first & 0x80) {
    const digits = Buffer.from(block.subarray(offset, offset + length));
    digits[0] = first & 0x7f;
    const value = BigInt(`0x${digits.toString('hex')}`);
    if (first & 0x40 || value > Number.MAX_SAFE_INTEGER) throw new Error('a number in a tar header is out of range');
    return Number(value);
  }
  const digits = text(block, offset, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw new Error(`"${digits}" in a tar header is not an octal number`);
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function checkSum(block: Buffer, offset: number): void {
  let sum = 0;
  for (let index = 0; index < BLOCK; index++) sum += index >= 148 && index < 156 ? 32 : (block[index] ?? 0);
  if (sum !== number(block, 148, 8)) throw new Error(`wrong checksum in the tar header at byte ${offset}`);
}

function paxRecords(data: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  let offset = 0;
  while (offset < data.length) {
    const space = data.indexOf(32, offset);
    const length = Number(data.toString('latin1', offset, space));
    if (space < 0 || !Number.isInteger(length) || length <= 0) throw new Error('a pax record has no length');
    const record = data.toString('utf8', space + 1, offset + length - 1);
    const equals = record.indexOf('=');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    offset += length;
  }
  return records;
}
