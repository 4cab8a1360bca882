import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConnectionError, KubeApiError } from '@istio-ts/kube';
import { DEMO_HELP, readDemoCommand } from '../demo/command.ts';
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
try {
  const command = readDemoCommand(process.argv.slice(2));
  switch (command.action) {
    case 'help':
      options.out(DEMO_HELP);
      break;
    case 'start':
      await startDemo(options, command.addons);
      break;
    case 'stop':
      await stopDemo(options, command.words);
      break;
  }
} catch (error) {
  process.stderr.write(
    ` ✗ ${error instanceof DemoError || error instanceof ConnectionError || error instanceof KubeApiError ? error.message : ((error as Error).stack ?? String(error))}\n`,
  );
  process.exitCode = 1;
}
