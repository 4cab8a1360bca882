import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { getAsset, isSea } from 'node:sea';

/** True where istioctl is the one file of the release, which carries its charts, and not the other programs of the project. */
export const isSingleExecutable = (): boolean => isSea();

let unpacked: string | undefined;

/**
 * The folder with the charts and profiles that the executable carries, unpacked for as long as this process lives; undefined where istioctl is not a single
 * executable.
 */
export function embeddedManifests(): string | undefined {
  if (!isSea()) return undefined;
  if (unpacked !== undefined) return unpacked;
  const files = JSON.parse(getAsset('manifests.json', 'utf8')) as Readonly<Record<string, string>>;
  const folder = mkdtempSync(join(tmpdir(), 'istioctl-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  unpacked = folder;
  return folder;
}
