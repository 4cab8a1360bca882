import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BuildOptions, build } from 'esbuild';
import type { Component } from './component.ts';
import { readNpmLock } from './npm-lock.ts';

/** An npm package that bundles contain. */
export interface Library extends Component {
  /** Texts of its licence, which have to come with it, by their file names. */
  readonly licences: readonly { readonly file: string; readonly text: Buffer }[];
}

/** The sources that built programs are made of, as their source maps name them. */
export const bundledSources = (dist: string, programs: Iterable<string>): string[] =>
  [...programs].flatMap((program) => {
    const map = join(dist, 'bin', `${program}.mjs.map`);
    if (!existsSync(map)) return [];
    return [...(JSON.parse(readFileSync(map, 'utf8')) as { readonly sources: readonly string[] }).sources];
  });

/** The sources that the console's pages are made of, which have no source maps: they are bundled once more to learn it. */
export async function pageSources(root: string): Promise<string[]> {
  const { buildPages } = (await import(pathToFileURL(join(root, 'scripts', 'build-pages.mjs')).href)) as {
    readonly buildPages: (bundle: (options: BuildOptions) => Promise<void>, to: string) => Promise<void>;
  };
  const work = mkdtempSync(join(tmpdir(), 'istio-images-'));
  const sources: string[] = [];
  try {
    await buildPages(async (options) => {
      const { metafile } = await build({ ...options, outdir: work, write: false, minify: false, metafile: true });
      sources.push(...Object.keys(metafile.inputs));
    }, work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return sources;
}

/**
 * The npm packages among the sources of bundles, with the versions of package-lock.json and the texts of their licences. Throws an Error for a package without
 * such a text, or that package-lock.json does not name: it could not be passed on.
 */
export function librariesIn(root: string, sources: Iterable<string>): Library[] {
  const paths = new Set<string>();
  for (const source of sources) {
    const path = /(node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/.@][^/]*)/.exec(source)?.[1];
    if (path !== undefined) paths.add(path);
  }
  if (paths.size === 0) return [];
  const packages = readNpmLock(root);
  const found: Library[] = [];
  for (const path of paths) {
    const locked = packages[path];
    if (locked?.version === undefined) throw new Error(`package-lock.json does not name ${path}, which is in a bundle`);
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const licences = readdirSync(join(root, path))
      .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
      .sort()
      .map((file) => ({ file, text: readFileSync(join(root, path, file)) }));
    if (licences.length === 0)
      throw new Error(`${name} ${locked.version} is in a bundle and has no text of its licence`);
    found.push({
      name,
      version: locked.version,
      purl: `pkg:npm/${name.replace('@', '%40')}@${locked.version}`,
      licence: locked.license,
      ...(locked.integrity?.startsWith('sha512-') && {
        sha512: Buffer.from(locked.integrity.slice('sha512-'.length), 'base64').toString('hex'),
      }),
      licences,
    });
  }
  return found.sort((a, b) => (a.purl < b.purl ? -1 : 1));
}
