// Figures of the running demo (`npm start` first): memory of its processes, and how long istiod and a pod with sidecar take to become ready.
import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Process {
  readonly pid: number;
  readonly command: string;
  readonly residentMb: number;
}

function processes(): readonly Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
        return command && resident ? [{ pid: Number(pid), command, residentMb: Number(resident[1]) / 1024 }] : [];
      } catch {
        // It ended while we looked.
        return [];
      }
    });
}

const kinds: readonly { readonly name: string; readonly test: (command: string) => boolean }[] = [
  {
    name: 'istiod',
    test: (command) =>
      /pilot-discovery(\.mjs)? discovery/.test(command) && !/^(unshare|nsenter|sh|\/bin\/sh)/.test(command),
  },
  {
    name: 'agent',
    test: (command) => /pilot-agent(\.mjs)? proxy/.test(command) && !/^(unshare|nsenter|sh|\/bin\/sh)/.test(command),
  },
  { name: 'Envoy', test: (command) => /(^|\/)envoy .*(-c|--config)/.test(command) },
  { name: 'local cluster', test: (command) => /dist\/bin\/local-[\w-]+\.mjs/.test(command) },
];

const all = processes();
console.log('Resident memory');
for (const { name, test } of kinds) {
  const found = all.filter(({ command }) => test(command)).map(({ residentMb }) => residentMb);
  if (found.length === 0) {
    console.log(`  ${name.padEnd(14)} no process found: is the demo running (npm start)?`);
    continue;
  }
  const sum = found.reduce((total, value) => total + value, 0);
  console.log(
    `  ${name.padEnd(14)} ${found.length} processes, ${(sum / found.length).toFixed(0)} MB on average, ${Math.max(...found).toFixed(0)} MB at most, ${sum.toFixed(0)} MB in all`,
  );
}

const kubectl = (...args: readonly string[]) =>
  execFileSync('kubectl', ['--context', 'istio-local', ...args], { encoding: 'utf8' });

/** Milliseconds from the deletion of a pod to the readiness of the one that takes its place. */
async function replacementMs(namespace: string, selector: string): Promise<number> {
  const names = () =>
    kubectl('get', 'pods', '-n', namespace, '-l', selector, '-o', 'jsonpath={.items[*].metadata.name}')
      .split(' ')
      .filter(Boolean);
  const [old = ''] = names();
  const started = performance.now();
  kubectl('delete', 'pod', '-n', namespace, old, '--wait=false');
  for (;;) {
    const pods = JSON.parse(kubectl('get', 'pods', '-n', namespace, '-l', selector, '-o', 'json')) as {
      readonly items: readonly {
        readonly metadata: { readonly name: string };
        readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
      }[];
    };
    if (
      pods.items.some(
        ({ metadata, status }) =>
          metadata.name !== old && status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      )
    )
      return performance.now() - started;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

console.log(
  '\nStart-up, from the deletion of the old pod to the readiness of the new one (with the resolution of kubectl, about 100 ms)',
);
console.log(`  istiod                ${((await replacementMs('istio-system', 'app=istiod')) / 1000).toFixed(2)} s`);
console.log(
  `  a pod with sidecar    ${((await replacementMs('istio-app', 'app=currencyservice')) / 1000).toFixed(2)} s`,
);

/** Milliseconds until a program of the project has printed and ended. */
function runMs(program: string, ...args: readonly string[]): Promise<number> {
  const started = performance.now();
  return new Promise((resolve) =>
    spawn(process.execPath, [join('dist', 'bin', `${program}.mjs`), ...args], { stdio: 'ignore' }).on('close', () =>
      resolve(performance.now() - started),
    ),
  );
}
console.log(`  istioctl version      ${(await runMs('istioctl', 'version', '--remote=false')).toFixed(0)} ms`);
