/** Members of a Unix `ar` archive (the outer form of a Debian package), by name. Throws an Error for anything else. */
export function readAr(archive: Buffer): Map<string, Buffer> {
  if (archive.toString('latin1', 0, 8) !== '!<arch>\n') throw new Error('not an ar archive');
  const members = new Map<string, Buffer>();
  let offset = 8;
  while (offset + 60 <= archive.length) {
    const header = archive.toString('latin1', offset, offset + 60);
    const size = Number(header.slice(48, 58).trim());
    if (header.slice(58) !== '`\n' || !Number.isInteger(size) || size < 0)
      throw new Error(`damaged ar header at byte ${offset}`);
    const end = offset + 60 + size;
    if (end > archive.length) throw new Error(`the ar archive ends within a member at byte ${offset}`);
    members.set(header.slice(0, 16).trim().replace(/\/$/, ''), archive.subarray(offset + 60, end));
    // Members start at even bytes.
    offset = end + (size % 2);
  }
  return members;
}
