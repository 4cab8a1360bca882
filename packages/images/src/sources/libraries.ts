import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Component, distinct } from './component.ts';

interface LockFile {
  readonly packages: Readonly<
    Record<string, { readonly version?: string; readonly license?: string; readonly integrity?: string } | undefined>
  >;
}

/** The npm packages that bundled programs contain: by the sources that their source maps name, with the versions of package-lock.json. */
export function librariesIn(root: string, dist: string, programs: Iterable<string>): Component[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as LockFile;
  const found: Component[] = [];
  for (const program of programs) {
    const map = join(dist, 'bin', `${program}.mjs.map`);
    if (!existsSync(map)) continue;
    const { sources } = JSON.parse(readFileSync(map, 'utf8')) as { readonly sources: readonly string[] };
    for (const source of sources) {
      const path = /(node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)/.exec(source)?.[1];
      const locked = path === undefined ? undefined : packages[path];
      if (path === undefined || locked?.version === undefined) continue;
      const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
      found.push({
        name,
        version: locked.version,
        purl: `pkg:npm/${name.replace('@', '%40')}@${locked.version}`,
        licence: locked.license,
        ...(locked.integrity?.startsWith('sha512-') && {
          sha512: Buffer.from(locked.integrity.slice('sha512-'.length), 'base64').toString('hex'),
        }),
      });
    }
  }
  return distinct(found);
}
