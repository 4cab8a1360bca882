// `npm start`: from a fresh clone to a running mesh with Online Boutique in it. Runs under any Node from 20 on; everything after the installation runs
// under the pinned Node that came with it.
import { existsSync, statSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedNode, prepare, runPinned, SetupError } from './prepare.mjs';

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');

/** The latest change below a folder, in milliseconds since 1970. */
function latestChange(folder) {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    latest = Math.max(latest, entry.isDirectory() ? latestChange(path) : statSync(path).mtimeMs);
  }
  return latest;
}

function isBuilt() {
  const built = join(root, 'dist', 'package.json');
  if (!existsSync(built)) return false;
  const time = statSync(built).mtimeMs;
  return ['packages', 'samples', 'scripts'].every((folder) => latestChange(join(root, folder)) <= time);
}

try {
  await prepare((line) => console.log(` ✓ installed ${line}`));
} catch (error) {
  console.error(error instanceof SetupError ? ` ✗ ${error.message}` : error);
  process.exit(1);
}
if (!isBuilt()) {
  const { status } = runPinned(['scripts/build.mjs'], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) {
    console.error(' ✗ the programs could not be built: see the messages above');
    process.exit(1);
  }
  console.log(' ✓ built the programs');
}
const { status } = runPinned([join('dist', 'bin', 'demo.mjs'), 'start', ...process.argv.slice(2)]);
if (!existsSync(pinnedNode)) process.exit(1);
process.exit(status ?? 1);
