/**
 * A 64-bit little-endian ELF program without what only debuggers read: symbols, debugging information and the section table behind the last loaded byte. The
 * program runs exactly as before, since the kernel and the loader go by segments. Gives the same bytes back where there is nothing to remove. Throws an Error
 * for what is no such file.
 */
export function stripElf(program: Buffer): Buffer {
  if (program.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') throw new Error('not a 64-bit little-endian ELF file');
  const segments = Number(program.readBigUInt64LE(0x20));
  const size = program.readUInt16LE(0x36);
  const count = program.readUInt16LE(0x38);
  let end = segments + size * count;
  for (let index = 0; index < count; index++) {
    const at = segments + index * size;
    // Offset and length in the file of each segment, loaded or not (notes lie in them too).
    end = Math.max(end, Number(program.readBigUInt64LE(at + 0x08)) + Number(program.readBigUInt64LE(at + 0x20)));
  }
  if (end >= program.length) return program;
  const stripped = Buffer.from(program.subarray(0, end));
  // No section table: its offset, number of entries and the index of its names are zero.
  stripped.writeBigUInt64LE(0n, 0x28);
  stripped.writeUInt16LE(0, 0x3c);
  stripped.writeUInt16LE(0, 0x3e);
  return stripped;
}
