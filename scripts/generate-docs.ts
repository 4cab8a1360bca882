// Writes the pages in docs/ that come out of the programs themselves: `npm run docs`.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandReference } from '@istio-ts/istioctl/docs/command-reference';
import { commandTree } from '@istio-ts/istioctl/docs/tree';

const file = join(import.meta.dirname, '..', 'docs', 'istioctl.md');
writeFileSync(file, commandReference(commandTree()));
console.log(`wrote ${file}`);
