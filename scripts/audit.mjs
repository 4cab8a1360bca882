// Asks the registry whether a published weakness is known of what the lock file installs for users (development tools are left out).
// Fails for those of level high and critical, shows the others. Without a registry that answers such questions it says so and succeeds:
// a build must not depend on somebody else's server.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const { stdout, error } = spawnSync(
  'npm',
  ['audit', '--omit=dev', '--package-lock-only', '--json', '--fetch-retries=0', '--fetch-timeout=20000'],
  { cwd: join(import.meta.dirname, '..'), encoding: 'utf8', timeout: 60_000, maxBuffer: 64 * 1024 * 1024 },
);

let report;
try {
  report = JSON.parse(stdout ?? '');
} catch {
  // Without npm, without a network, or when time is up there is no answer, or half of one: said below.
}
const counts = report?.metadata?.vulnerabilities;
if (counts === undefined) {
  const why = report?.message ?? report?.error?.summary ?? error?.message ?? 'npm audit gave no answer';
  console.log(`dependency audit skipped: the registry could not be asked (${String(why).split('\n')[0]})`);
} else {
  for (const [name, { severity, via }] of Object.entries(report.vulnerabilities ?? {})) {
    const titles = via.filter((one) => typeof one === 'object').map(({ title, url }) => `${title} (${url})`);
    console.log(`${severity}: ${name}${titles.length > 0 ? `: ${titles.join('; ')}` : ''}`);
  }
  const serious = (counts.high ?? 0) + (counts.critical ?? 0);
  console.log(`dependency audit: ${counts.total ?? 0} known weaknesses, ${serious} of them high or critical`);
  if (serious > 0) process.exitCode = 1;
}
