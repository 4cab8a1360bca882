// Runs the tests: `npm test` all of them, `npm test unit` those beside the code, `npm test e2e` those on the local cluster; further words are
// file names or their parts. Prints the summary of Node's test runner.
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [first, ...rest] = process.argv.slice(2);
const kinds = { unit: ['packages/*/src/**/*.test.ts', 'samples/*/src/**/*.test.ts'], e2e: ['e2e/**/*.test.ts'] };
const isKind = first === 'unit' || first === 'e2e';
const words = isKind ? rest : [first, ...rest].filter((word) => word !== undefined);

const node = join(root, 'node_modules', '.bin', 'node');
const run = (command, args) => {
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH}` },
  });
  return status ?? 1;
};

let failed = run(node, ['scripts/prepare.mjs', '--quiet']);
if (failed !== 0) process.exit(failed);
failed = run(node, ['scripts/build.mjs']);
if (failed !== 0) process.exit(failed);

for (const kind of isKind ? [first] : ['unit', 'e2e']) {
  const files = kinds[kind]
    .flatMap((pattern) => globSync(pattern, { cwd: root }))
    .filter((file) => !file.includes('node_modules'));
  const chosen = files.filter((file) => words.length === 0 || words.some((word) => file.includes(word))).sort();
  if (chosen.length === 0) continue;
  console.log(
    `\n${kind === 'unit' ? 'Tests beside the code' : 'End-to-end tests on the local cluster'}: ${chosen.length} files`,
  );
  // End-to-end tests share one cluster's worth of CPU, so they run one file after the other.
  const concurrency = kind === 'unit' ? Math.max(2, availableParallelism()) : 1;
  failed ||= run(node, [
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${concurrency}`,
    '--test-timeout=600000',
    ...chosen,
  ]);
}
process.exit(failed);
