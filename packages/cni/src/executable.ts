import { basename } from 'node:path';
import { main as install } from './install/main.ts';
import { main as plugin } from './plugin/main.ts';

/**
 * Both programs in one executable: called as `install-cni` it installs itself on the node, where container runtimes call it as the plugin. It is bundled into
 * Node's binary, so a node needs nothing else.
 */
if (basename(process.argv0) === 'install-cni') void install(process.argv.slice(2)).then((code) => process.exit(code));
else void plugin();
