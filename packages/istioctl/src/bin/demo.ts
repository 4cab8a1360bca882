import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConnectionError, KubeApiError } from '@istio-ts/kube';
import { DemoError, startDemo, stopDemo } from '../demo/start.ts';

// Bundled to dist/bin/demo.mjs: the project's folder is two levels up.
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const options = {
  root,
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
  interactive: process.stdout.isTTY === true,
  now: () => performance.now(),
};
// A pager or `head` that stops reading is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
const [command, ...words] = process.argv.slice(2);
try {
  if (command === 'stop') await stopDemo(options, words);
  else await startDemo(options, words);
} catch (error) {
  process.stderr.write(
    ` ✗ ${error instanceof DemoError || error instanceof ConnectionError || error instanceof KubeApiError ? error.message : ((error as Error).stack ?? String(error))}\n`,
  );
  process.exitCode = 1;
}
