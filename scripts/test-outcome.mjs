// Reporter for Node's test runner, beside another one that keeps errors for the end: it prints why a test failed at once, at the end what was skipped and
// why, and writes the files in which a test failed, one a line, to the file that TEST_FAILED_FILES names.
import { writeFileSync } from 'node:fs';

export default async function* outcome(events) {
  const failed = new Set();
  const skipped = new Map();
  for await (const { type, data } of events) {
    // Tests inside of others name the file in which they are written, which need not be the one that was run.
    if (type === 'test:fail' && data.nesting === 0 && data.file && !data.todo) failed.add(data.file);
    if (type === 'test:fail' && data.details?.error?.failureType !== 'subtestsFailed') yield because(data);
    if (type !== 'test:pass' || data.skip === undefined) continue;
    const reason = typeof data.skip === 'string' ? data.skip : 'no reason given';
    skipped.set(reason, [...(skipped.get(reason) ?? []), data.name]);
  }
  writeFileSync(process.env.TEST_FAILED_FILES, [...failed].map((file) => `${file}\n`).join(''));
  if (skipped.size > 0) yield '\nSkipped:\n';
  for (const [reason, names] of skipped) yield `  ${reason}\n${names.map((name) => `    - ${name}\n`).join('')}`;
}

function because({ name, details, nesting }) {
  const error = details?.error?.cause ?? details?.error;
  const lines = String(error?.message ?? error).split('\n');
  const shown = lines.length > 12 ? [...lines.slice(0, 12), `(${lines.length - 12} more lines at the end)`] : lines;
  const indent = '  '.repeat(nesting + 2);
  return `${'  '.repeat(nesting)}  why "${name}" failed:\n${shown.map((line) => `${indent}${line.slice(0, 300)}\n`).join('')}`;
}
