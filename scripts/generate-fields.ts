// Writes docs/networking-fields.md: every field of the networking API and the test that proves it. Part of `npm run docs`.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { evidenceOf } from '@istio-ts/xds/testing/fields/repository';
import { fieldTable, unknownFields } from '@istio-ts/xds/testing/fields/table';

const root = join(import.meta.dirname, '..');
const file = join(root, 'docs', 'networking-fields.md');
const evidence = evidenceOf(root);
for (const { message } of unknownFields(evidence.proofs)) {
  console.error(message);
  process.exitCode = 1;
}
writeFileSync(file, fieldTable(evidence));
console.log(`wrote ${file}`);
