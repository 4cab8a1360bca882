// Writes docs/istiod-environment.md: the variables of istiod's environment. Part of `npm run docs`.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { environmentPage } from '../packages/istiod/src/environment.ts';

const file = join(import.meta.dirname, '..', 'docs', 'istiod-environment.md');
writeFileSync(file, environmentPage());
console.log(`wrote ${file}`);
