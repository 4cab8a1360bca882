import { closeSync, openSync, readSync } from 'node:fs';

/**
 * Reads one section of a 64-bit little-endian ELF file (System V ABI, chapter 4 "Object Files").
 * Throws an Error when the file is not ELF or has no such section.
 */
export function readElfSection(path: string, section: string): Buffer {
  const fd = openSync(path, 'r');
  try {
    const read = (offset: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      if (readSync(fd, bytes, 0, length, offset) !== length) throw new Error(`${path}: the file ends too early`);
      return bytes;
    };
    const header = read(0, 64);
    if (header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2) throw new Error(`${path} is not a 64-bit ELF file`);
    const entrySize = header.readUInt16LE(58);
    const table = read(Number(header.readBigUInt64LE(40)), entrySize * header.readUInt16LE(60));
    const entry = (index: number) => ({
      name: table.readUInt32LE(index * entrySize),
      offset: Number(table.readBigUInt64LE(index * entrySize + 24)),
      size: Number(table.readBigUInt64LE(index * entrySize + 32)),
    });
    const names = entry(header.readUInt16LE(62));
    const strings = read(names.offset, names.size);
    for (let index = 0; index < header.readUInt16LE(60); index++) {
      const found = entry(index);
      const name = strings.toString('latin1', found.name, strings.indexOf(0, found.name));
      if (name === section) return read(found.offset, found.size);
    }
    throw new Error(`${path} has no section ${section}`);
  } finally {
    closeSync(fd);
  }
}

/**
 * Finds the encoded FileDescriptorProtos in a block of memory: each begins with its file name (field 1) and its other
 * fields follow in ascending order, so it ends where the next tag would go backwards or is no field of a file.
 */
export function carveFileDescriptors(block: Buffer): Buffer[] {
  const files: Buffer[] = [];
  let at = 0;
  while (at < block.length) {
    const end = descriptorEnd(block, at);
    if (end === undefined) {
      at++;
      continue;
    }
    files.push(block.subarray(at, end));
    at = end;
  }
  return files;
}

function descriptorEnd(block: Buffer, start: number): number | undefined {
  if (block[start] !== 0x0a) return undefined;
  const nameLength = block[start + 1] ?? 0;
  const nameEnd = start + 2 + nameLength;
  if (nameLength < 7 || nameLength > 127 || nameEnd > block.length) return undefined;
  if (!/^[\w./-]+\.proto$/.test(block.toString('latin1', start + 2, nameEnd))) return undefined;
  let at = nameEnd;
  let previous = 1;
  while (at < block.length) {
    const tag = block[at] ?? 0;
    const field = tag >> 3;
    const order = field === 10 || field === 11 ? 3 : field; // public and weak imports stand beside the imports
    if (order < previous || field > 14 || field < 2) break;
    const wire = tag & 7;
    let next = at + 1;
    let value = 0;
    let shift = 0;
    for (;;) {
      const byte = block[next++];
      if (byte === undefined) return undefined;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
      shift += 7;
    }
    if (wire === 2) next += value;
    else if (wire !== 0) break;
    if (next > block.length) return undefined;
    at = next;
    previous = order;
  }
  return at;
}
