import { gunzipSync } from 'node:zlib';

/** Larger modules are refused: what an agent fetches stays within what its container may hold. */
export const MAX_MODULE_BYTES = 256 << 20;
const BLOCK = 512;

export class ModuleError extends Error {
  override readonly name = 'ModuleError';
}

const startsWith = (bytes: Buffer, magic: readonly number[]): boolean => magic.every((byte, i) => bytes[i] === byte);
const isModule = (bytes: Buffer): boolean => startsWith(bytes, [0x00, 0x61, 0x73, 0x6d]);
const isTar = (bytes: Buffer): boolean => bytes.length > BLOCK && bytes.toString('latin1', 257, 262) === 'ustar';

/** The module in what was fetched: itself, compressed by gzip, or the file plugin.wasm of an archive. Raises ModuleError. */
export function moduleBytes(fetched: Buffer): Buffer {
  if (isModule(fetched)) return fetched;
  if (startsWith(fetched, [0x1f, 0x8b])) {
    let unpacked: Buffer;
    try {
      unpacked = gunzipSync(fetched, { maxOutputLength: MAX_MODULE_BYTES });
    } catch (error) {
      throw new ModuleError(`what was fetched cannot be unpacked: ${error instanceof Error ? error.message : error}`);
    }
    return moduleBytes(unpacked);
  }
  if (isTar(fetched)) {
    const found = tarFile(fetched, 'plugin.wasm');
    if (found !== undefined && isModule(found)) return found;
    throw new ModuleError('the archive has no plugin.wasm that is a WebAssembly module');
  }
  throw new ModuleError('what was fetched is no WebAssembly module');
}

/** A file of a tar archive (POSIX ustar), in whatever folder it is. */
function tarFile(archive: Buffer, name: string): Buffer | undefined {
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const path = archive.toString('utf8', at, at + 100).replace(/\0.*$/s, '');
    if (path === '') return undefined;
    const size = Number.parseInt(
      archive
        .toString('latin1', at + 124, at + 136)
        .replace(/\0.*$/s, '')
        .trim(),
      8,
    );
    if (!Number.isSafeInteger(size) || size < 0) return undefined;
    const start = at + BLOCK;
    if (path === name || path.endsWith(`/${name}`)) return archive.subarray(start, start + size);
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return undefined;
}
