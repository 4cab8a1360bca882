// Runs the tests: `npm test` all of them, `npm test unit` those beside the code, `npm test e2e` those on the local cluster; further words are
// file names or their parts. Prints the summary of Node's test runner.
import * as fs from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepare, runPinned, SetupError } from './prepare.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const kinds = {
  unit: ['packages/*/src/**/*.test.ts', 'samples/*/src/**/*.test.ts', 'bench/**/*.test.ts'],
  e2e: ['e2e/**/*.test.ts'],
};

const given = process.env.E2E_KUBECONFIG || undefined;
const run = (args) => runPinned(args).status ?? 1;

try {
  await prepare((line) => console.log(`installed ${line}`));
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error);
  process.exit(1);
}
// In a fresh clone this still runs under the machine's own Node, which may be too old for what follows.
if (fs.globSync === undefined) process.exit(run(['scripts/test.mjs', ...process.argv.slice(2)]));

let failed = run(['scripts/build.mjs']);
if (failed !== 0) process.exit(failed);

const [first, ...rest] = process.argv.slice(2);
const isKind = first === 'unit' || first === 'e2e';
const words = isKind ? rest : [first, ...rest].filter((word) => word !== undefined);
for (const kind of isKind ? [first] : ['unit', 'e2e']) {
  const files = kinds[kind]
    .flatMap((pattern) => fs.globSync(pattern, { cwd: root }))
    .filter((file) => !file.includes('node_modules'));
  const chosen = files.filter((file) => words.length === 0 || words.some((word) => file.includes(word))).sort();
  if (chosen.length === 0) continue;
  console.log(
    `\n${kind === 'unit' ? 'Tests beside the code' : `End-to-end tests on ${given === undefined ? 'local clusters' : `the cluster of ${given}`}`}: ${chosen.length} files`,
  );
  // End-to-end tests wait more than they work: two at a time where each file has a cluster of its own.
  failed ||= withSecondTry(chosen, kind === 'unit' ? Math.max(2, availableParallelism()) : given === undefined ? 2 : 1);
}
process.exit(failed);

function runTests(files, concurrency, reporters = ['--test-reporter=spec']) {
  return run([
    '--test',
    ...reporters,
    `--test-concurrency=${concurrency}`,
    // It counts for a whole file, too: against tests that hang, not against slow machines.
    '--test-timeout=2400000',
    ...files,
  ]);
}

/**
 * Tests with real proxies and clusters share the machine with whatever else runs on it, so one or two files that fail get a second try, alone. What
 * needed it is named at the end, for it wants to be looked at.
 */
function withSecondTry(files, concurrency) {
  const directory = fs.mkdtempSync(join(tmpdir(), 'istio-ts-tests-'));
  try {
    const list = join(directory, 'failed');
    process.env.TEST_FAILED_FILES = list;
    const reporters = ['--test-reporter=spec', '--test-reporter=./scripts/test-outcome.mjs'].flatMap((reporter) => [
      reporter,
      '--test-reporter-destination=stdout',
    ]);
    const code = runTests(files, concurrency, reporters);
    const again = code === 0 || !fs.existsSync(list) ? [] : fs.readFileSync(list, 'utf8').split('\n').filter(Boolean);
    if (again.length === 0 || again.length > 2) return code;
    const names = again.map((file) => relative(root, file));
    console.log(`\nA second try for ${names.join(' and ')}`);
    const second = runTests(names, 1);
    if (second === 0) console.log(`\nPassed at the second try only: ${names.join(', ')} (see the failure above)`);
    return second;
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}
