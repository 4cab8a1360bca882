// `npm run release [-- --arch amd64,arm64] [--out FOLDER] [--base-url URL]`: what users download. The same sources give the same bytes.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pinnedNode, prepare, runPinned, SetupError } from './prepare.mjs';

const root = join(fileURLToPath(new URL('.', import.meta.url)), '..');
const { values: flags } = parseArgs({
  options: {
    arch: { type: 'string', default: 'amd64,arm64' },
    out: { type: 'string', default: join(root, 'release') },
    'base-url': { type: 'string', default: '' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (flags.help) {
  console.log(`npm run release [-- FLAGS]

  --arch amd64,arm64   architectures to make archives for
  --out FOLDER         where to (default: release/)
  --base-url URL       where the files will be published: the download script and the chart repository's index name it`);
  process.exit(0);
}
const architectures = flags.arch.split(',');
const unknown = architectures.find((arch) => arch !== 'amd64' && arch !== 'arm64');
if (unknown !== undefined) {
  console.error(`--arch ${unknown}: there are amd64 and arm64`);
  process.exit(1);
}

// In a fresh clone this still runs under the machine's own Node: what follows needs the pinned one and its packages.
if (process.execPath !== (existsSync(pinnedNode) ? (await import('node:fs')).realpathSync(pinnedNode) : '')) {
  try {
    await prepare((line) => console.log(`installed ${line}`), { kubectl: false });
  } catch (error) {
    console.error(error instanceof SetupError ? error.message : error);
    process.exit(1);
  }
  process.exit(runPinned([fileURLToPath(import.meta.url), ...process.argv.slice(2)]).status ?? 1);
}

const { packFolder, sourceTime, writeChecksum } = await import('./release/archive.mjs');
const { nodeBinary, programBlob, writeExecutable } = await import('./release/executable.mjs');
const { layOutRelease } = await import('./release/layout.mjs');
const { chartRepository } = await import('./release/charts.mjs');
const { npmPackage } = await import('./release/npm-package.mjs');
const { build } = await import('./build.mjs');

const version = /VERSION = '([^']+)'/.exec(readFileSync(join(root, 'packages/api/src/version.ts'), 'utf8'))?.[1];
if (version === undefined) throw new Error('packages/api/src/version.ts names no version');
const manifests = join(root, 'packages', 'charts', 'manifests');
const seconds = sourceTime(root);
const work = mkdtempSync(join(tmpdir(), 'istio-release-'));
const dist = join(work, 'dist');
const out = flags.out;
const written = [];
const step = async (what, run) => {
  const started = Date.now();
  const made = await run();
  for (const file of [made].flat()) written.push(file);
  console.log(` ✓ ${what} (${((Date.now() - started) / 1000).toFixed(1)}s)`);
};

try {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  await step('built the programs', async () => {
    await build(dist);
    return [];
  });
  const blob = await programBlob(root, pinnedNode, manifests, work);
  const layout = join(work, `istio-${version}`);
  await step('laid out charts, samples and tools', async () => {
    layOutRelease({
      root,
      manifests,
      version,
      target: layout,
      istioctl: [pinnedNode, join(dist, 'bin', 'istioctl.mjs')],
    });
    return [];
  });
  for (const arch of architectures) {
    const archive = join(out, `istio-${version}-linux-${arch}.tar.gz`);
    await step(archive.slice(out.length + 1), async () => {
      mkdirSync(join(layout, 'bin'), { recursive: true });
      await writeExecutable(nodeBinary(root, arch, work), blob, join(layout, 'bin', 'istioctl'));
      packFolder(layout, archive, seconds);
      return [archive, writeChecksum(archive)];
    });
  }
  await step('charts', () =>
    chartRepository({ manifests, out: join(out, 'charts'), baseUrl: flags['base-url'], seconds, work }),
  );
  await step('npm package', () => npmPackage({ root, dist, version, out, seconds, work }));
  const script = join(out, 'downloadIstio');
  writeFileSync(
    script,
    readFileSync(join(root, 'tools', 'downloadIstio'), 'utf8').replace(
      '@BASE_URL@',
      flags['base-url'].replace(/\/$/, ''),
    ),
    { mode: 0o755 },
  );
  writeFileSync(join(out, 'latest'), `${version}\n`);
  cpSync(join(root, 'LICENSE'), join(out, 'LICENSE'));
  written.push(script, join(out, 'latest'));
} finally {
  rmSync(work, { recursive: true, force: true });
}

console.log(`\nRelease ${version} in ${out}:`);
for (const file of written)
  console.log(`  ${(statSync(file).size / 1024 / 1024).toFixed(1).padStart(6)} MiB  ${file.slice(out.length + 1)}`);
if (readdirSync(out).length === 0) process.exitCode = 1;
