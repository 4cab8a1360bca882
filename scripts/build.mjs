// Bundles every program into dist/bin/NAME.mjs (and dist/bin/samples/NAME.mjs), so that each starts from one file: less memory, faster start.
// Programs are the files packages/*/src/bin/*.ts and samples/*/src/bin/*.ts. Data files that programs read go to dist/data.
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildPages } from './build-pages.mjs';
import { dataFolders } from './data-folders.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Lists the entry files of the programs below a workspace folder. */
function programsOf(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, folder, entry.name, 'src', 'bin'))
    .filter((bin) => existsSync(bin))
    .flatMap((bin) =>
      readdirSync(bin)
        .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
        .map((file) => join(bin, file)),
    );
}

/** Parts of istioctl that it loads when a command needs them; their names change with their content. */
const chunk = /^istioctl-[0-9A-Z]{8}\.mjs(\.map)?$/;
/** An istioctl that runs meanwhile may still ask for its own parts, for so many milliseconds. */
const chunkLife = 60 * 60 * 1000;

const mayBeInUse = (path) => chunk.test(basename(path)) && Date.now() - statSync(path).mtimeMs < chunkLife;

/** Moves every file of `from` over its predecessor in `to`, then removes what `from` does not have. */
function replaceFolder(from, to) {
  mkdirSync(to, { recursive: true });
  const wanted = new Set(readdirSync(from));
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.isDirectory()) replaceFolder(join(from, entry.name), join(to, entry.name));
    else renameSync(join(from, entry.name), join(to, entry.name));
  }
  for (const name of readdirSync(to))
    if (!wanted.has(name) && !mayBeInUse(join(to, name))) rmSync(join(to, name), { recursive: true, force: true });
}

/**
 * `node:http` as it is required, not imported: an ES module that imports it has all its exports evaluated, and among them is `WebSocket`, for which Node
 * loads its whole fetch client. That would cost every start of every program.
 */
const lazyHttp = {
  name: 'lazy-http',
  setup(build) {
    build.onResolve({ filter: /^(node:)?http$/ }, ({ kind }) =>
      kind === 'import-statement' || kind === 'dynamic-import'
        ? { path: 'node:http', namespace: 'required' }
        : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: 'required' }, () => ({
      contents: "module.exports = require('node:http');",
    }));
  },
};

/** Builds all bundles into `out` (dist by default); throws when a source does not compile. */
export async function build(out = join(root, 'dist')) {
  const { build: bundle } = await import('esbuild');
  const entries = {};
  for (const file of programsOf('packages')) entries[`bin/${basename(file, '.ts')}`] = file;
  for (const file of programsOf('samples')) entries[`bin/samples/${basename(file, '.ts')}`] = file;
  mkdirSync(out, { recursive: true });
  // Built beside the old programs and moved over them file by file: a running cluster starts from this folder at any time.
  const staging = join(out, `.staging-${process.pid}`);
  // Bundled as if for dist, wherever the files go: source maps hold ways to the sources, and the names of istioctl's parts depend on the maps. The same
  // sources give the same files, whichever folder they are in.
  const dist = join(root, 'dist');
  const { 'bin/istioctl': istioctl, ...others } = entries;
  const common = {
    absWorkingDir: root,
    outdir: dist,
    write: false,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    plugins: [lazyHttp],
    legalComments: 'linked',
    logLevel: 'warning',
    minifySyntax: true,
    sourcemap: 'linked',
    sourcesContent: false,
    // Dependencies that are CommonJS ask for `require`, which an ES module has to make itself.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  };
  const bundles = await Promise.all([
    bundle({ ...common, entryPoints: others }),
    // istioctl has many commands and runs one: it loads that one's part only.
    bundle({
      ...common,
      entryPoints: { 'bin/istioctl': istioctl },
      splitting: true,
      chunkNames: 'bin/istioctl-[hash]',
    }),
    buildPages(bundle, join(staging, 'data', 'console')),
  ]);
  for (const { path, contents } of bundles.flatMap((built) => built?.outputFiles ?? [])) {
    const target = join(staging, relative(dist, path));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, contents);
  }
  for (const { from, to } of dataFolders) {
    if (existsSync(join(root, from))) cpSync(join(root, from), join(staging, 'data', to), { recursive: true });
  }
  replaceFolder(join(staging, 'bin'), join(out, 'bin'));
  replaceFolder(join(staging, 'data'), join(out, 'data'));
  rmSync(staging, { recursive: true, force: true });
  writeFileSync(join(out, 'package.json'), '{"type":"module"}\n');
  return Object.keys(entries).map((name) => relative(root, join(out, `${name}.mjs`)));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const started = Date.now();
  const built = await build();
  console.log(`built ${built.length} programs in ${Date.now() - started} ms`);
}
