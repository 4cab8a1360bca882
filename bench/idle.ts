// Figures of the running demo (`npm start` first): memory of its processes, and how long istiod and a pod with sidecar take to become ready.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { createKubeClient, loadKubeConfig } from '@istio-ts/kube';
import { listed, timePod, whoami } from './pods/pod-times.ts';

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

const client = createKubeClient(loadKubeConfig({ env: process.env, context: 'istio-local' }));

/** When the agent of a pod had its certificate, by its own log; milliseconds since 1970. */
async function certificateAt(namespace: string, pod: string): Promise<number> {
  for await (const line of await client.logs(namespace, pod, { container: 'istio-proxy' }))
    if (line.includes('generated new workload certificate')) return Date.parse(line.slice(0, line.indexOf('\t')));
  throw new Error(`the log of ${namespace}/${pod} tells of no certificate`);
}

interface PodTimes {
  /** Milliseconds from the pod's creation to its readiness. */
  readonly ready: number;
  /** Milliseconds from the moment in which the node took the pod to its first certificate; NaN without a sidecar. */
  readonly certificate: number;
}

/** Milliseconds that istiod needed to become ready, out of its own log. */
async function istiodReadyMs(): Promise<string> {
  const [pod] = (await client.list(kubernetesTypes.Pod, { namespace: 'istio-system', labelSelector: 'app=istiod' }))
    .items;
  for await (const line of await client.logs('istio-system', pod?.metadata.name ?? '', {})) {
    const found = /ready after (\d+) ms/.exec(line);
    if (found) return `${found[1]} ms`;
  }
  return '(its log does not say)';
}

const times = async (prefix: string, namespace: string, hasProxy: boolean): Promise<readonly PodTimes[]> => {
  const values: PodTimes[] = [];
  for (let round = 0; round < 5; round++) {
    const name = `${prefix}-${round}`;
    values.push(
      await timePod(client, whoami(name, namespace), async ({ readyMs, taken }) => ({
        ready: readyMs,
        certificate: hasProxy ? (await certificateAt(namespace, name)) - taken : Number.NaN,
      })),
    );
  }
  return values;
};

console.log('\nStart-up');
console.log(`  istiod, to ready              ${await istiodReadyMs()}`);
const plain = await times('bench-plain', 'default', false);
console.log(`  a pod without sidecar, ready  ${listed(plain.map(({ ready }) => ready))}`);
const meshed = await times('bench-mesh', 'istio-app', true);
console.log(`  a pod with sidecar, ready     ${listed(meshed.map(({ ready }) => ready))}`);
console.log(`    from the node to certificate ${listed(meshed.map(({ certificate }) => certificate))}`);
client.close();

/** Milliseconds until a program of the project has printed and ended. */
function runMs(program: string, ...args: readonly string[]): Promise<number> {
  const started = performance.now();
  return new Promise((resolve) =>
    spawn(process.execPath, [join('dist', 'bin', `${program}.mjs`), ...args], { stdio: 'ignore' }).on('close', () =>
      resolve(performance.now() - started),
    ),
  );
}
console.log(`  istioctl version              ${(await runMs('istioctl', 'version', '--remote=false')).toFixed(0)} ms`);
