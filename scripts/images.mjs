// `npm run images`: container images of the mesh, its samples and addons without a container engine. `npm run images -- --help` tells more.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { envoyVersion, home, pinnedNode, prepare, runPinned, SetupError } from './prepare.mjs';

const root = join(fileURLToPath(new URL('.', import.meta.url)), '..');

// In a fresh clone this still runs under the machine's own Node: what follows needs the pinned one and its packages.
if (process.execPath !== (existsSync(pinnedNode) ? realpathSync(pinnedNode) : '')) {
  try {
    await prepare((line) => console.error(`installed ${line}`), { kubectl: false });
  } catch (error) {
    console.error(error instanceof SetupError ? error.message : error);
    process.exit(1);
  }
  process.exit(runPinned([fileURLToPath(import.meta.url), ...process.argv.slice(2)]).status ?? 1);
}

const { main } = await import('../packages/images/src/main.ts');
const { build } = await import('./build.mjs');
const { sourceTime } = await import('./release/archive.mjs');

const work = mkdtempSync(join(tmpdir(), 'istio-images-'));
const git = (...args) => {
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : '';
};
try {
  process.exitCode = await main(process.argv.slice(2), {
    root,
    home,
    envoyVersion,
    seconds: sourceTime(root),
    env: process.env,
    revision: git('rev-parse', 'HEAD'),
    modified: git('status', '--porcelain') !== '',
    out: (text) => process.stdout.write(text),
    progress: (line) => process.stderr.write(`${line}\n`),
    build: async () => {
      await build(join(work, 'dist'));
      return join(work, 'dist');
    },
  });
} finally {
  rmSync(work, { recursive: true, force: true });
}
