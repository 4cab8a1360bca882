// Writes docs/networking-fields.md, docs/security-fields.md, docs/telemetry-fields.md and docs/annotations.md: every field of those APIs, every annotation, and the test that proves it. Part of `npm run docs`.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { annotationTable, unknownAnnotations } from '@istio-ts/xds/testing/fields/annotations';
import { evidenceOf } from '@istio-ts/xds/testing/fields/repository';
import { fieldPages, fieldTable, unknownFields } from '@istio-ts/xds/testing/fields/table';

const root = join(import.meta.dirname, '..');
const evidence = evidenceOf(root);
const unknown = [
  ...unknownFields([...evidence.proofs, ...evidence.refusals]).map(({ message }) => message),
  ...unknownAnnotations(evidence.annotationProofs),
];
for (const message of unknown) {
  console.error(message);
  process.exitCode = 1;
}
for (const [name, text] of [
  ...Object.entries(fieldPages).map(([name, page]) => [name, fieldTable(evidence, page)] as const),
  ['annotations.md', annotationTable(evidence)] as const,
]) {
  const file = join(root, 'docs', name);
  writeFileSync(file, text);
  console.log(`wrote ${file}`);
}
