import { writeSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Both programs in one executable: called as `install-cni` it installs itself on the node, where container runtimes call it as the plugin. It is bundled into
 * Node's binary, so a node needs nothing else. Only the program that is called is loaded: the plugin starts anew for every pod.
 */
async function start(): Promise<void> {
  if (basename(process.argv0) === 'install-cni') {
    const { main } = await import('./install/main.ts');
    process.exit(await main(process.argv.slice(2)));
  }
  const { quickAnswer } = await import('./plugin/quick-answer.ts');
  const answer = quickAnswer(process.env.CNI_COMMAND);
  if (answer !== undefined) {
    if (answer !== '') writeSync(1, `${answer}\n`);
    process.exit(0);
  }
  const { main } = await import('./plugin/main.ts');
  await main();
}

void start();
