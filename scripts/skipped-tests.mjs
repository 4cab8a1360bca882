// Reporter for Node's test runner: at the end, what was skipped, and why.
export default async function* skippedTests(events) {
  const byReason = new Map();
  for await (const { type, data } of events) {
    if (type !== 'test:pass' || data.skip === undefined) continue;
    const reason = typeof data.skip === 'string' ? data.skip : 'no reason given';
    byReason.set(reason, [...(byReason.get(reason) ?? []), data.name]);
  }
  if (byReason.size === 0) return;
  yield '\nSkipped:\n';
  for (const [reason, names] of byReason) yield `  ${reason}\n${names.map((name) => `    - ${name}\n`).join('')}`;
}
