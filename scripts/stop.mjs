// `npm stop`: ends the local cluster and everything in it; its state stays and `npm start` brings it back. `npm stop -- --wipe` forgets the state too.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedNode, runPinned } from './prepare.mjs';

if (!existsSync(pinnedNode) || !existsSync(join('dist', 'bin', 'demo.mjs'))) {
  console.log('nothing was started from this folder');
  process.exit(0);
}
const { status } = runPinned([join('dist', 'bin', 'demo.mjs'), 'stop', ...process.argv.slice(2)]);
process.exit(status ?? 1);
