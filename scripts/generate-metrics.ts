// Writes the tables of metrics in docs/telemetry.md out of their catalogue (packages/metrics/src/catalogue.ts); with --check it only says whether they are up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { catalogueTables } from '@istio-ts/metrics/catalogue';

const file = join(import.meta.dirname, '..', 'docs', 'telemetry.md');
const text = readFileSync(file, 'utf8');
const [begin, end] = ['<!-- metrics: npm run docs -->', '<!-- end of metrics -->'];
const [from, to] = [text.indexOf(begin), text.indexOf(end)];
if (from < 0 || to < from) throw new Error(`${file} has no place between ${begin} and ${end}`);
const wanted = `${text.slice(0, from)}${begin}\n\n${catalogueTables()}\n\n${text.slice(to)}`;
if (process.argv.includes('--check')) {
  if (wanted !== text) throw new Error(`${file} is out of date: npm run docs`);
} else {
  writeFileSync(file, wanted);
  console.log(`wrote ${file}`);
}
