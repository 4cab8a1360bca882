// `npm run bench -- ca`: certificates per second that one core signs, alone and as istiod's service over TLS, and how long an agent takes from its start to
// its certificate. CPU seconds are what counts: on a busy machine the time by the clock says little.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import {
  createCsr,
  createIntermediate,
  createRootCertificate,
  generatePrivateKey,
  type KeyAlgorithm,
  loadAuthority,
  P256,
} from '@istio-ts/security';
import { startAgent } from '../../packages/istiod/src/clients/agent.test-support.ts';
import { accountToken, startControlPlane } from '../../packages/istiod/src/clients/control-plane.test-support.ts';

const quick = process.argv.includes('--quick');
if (process.argv.includes('--help')) {
  console.log(
    'npm run bench -- ca [--quick]: certificates per second on one core, and from the start of an agent to its certificate',
  );
  process.exit(0);
}

/** CPU of this thread in seconds. */
const cpu = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
};
const row = (what: string, seconds: number, count: number, more = ''): void =>
  console.log(
    `  ${what.padEnd(44)} ${((seconds / count) * 1000).toFixed(2).padStart(7)} ms of CPU each, ${Math.round(
      count / seconds,
    )
      .toString()
      .padStart(6)} per second on one core${more}`,
  );

const now = new Date();
const identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' };
const rsa: KeyAlgorithm = { kind: 'rsa', bits: 2048 };
const algorithms: readonly (readonly [string, KeyAlgorithm])[] = [
  ['ECDSA P-256', P256],
  ['ECDSA P-384', { kind: 'ecdsa', curve: 'P-384' }],
  ['RSA 2048', rsa],
  ['RSA 4096', { kind: 'rsa', bits: 4096 }],
];

console.log('Signing: the request’s signature is verified, the certificate is built and signed');
for (const [name, algorithm] of algorithms) {
  const root = createRootCertificate({ organization: 'cluster.local', now });
  const authority = loadAuthority(
    createIntermediate(root, { organization: 'cluster.local', commonName: 'bench', algorithm, now }),
  );
  for (const [workload, key] of [
    ['P-256', P256],
    ['RSA 2048', rsa],
  ] as const) {
    const csr = createCsr(generatePrivateKey(key), [{ kind: 'uri', value: 'spiffe://cluster.local/ns/shop/sa/cart' }]);
    const count = quick ? 100 : 1000;
    for (let i = 0; i < 50; i++) authority.sign({ csr, identity, now });
    const before = cpu();
    for (let i = 0; i < count; i++) authority.sign({ csr, identity, now });
    row(`CA ${name}, workload ${workload}`, cpu() - before, count);
  }
}

console.log('As a service: gRPC over TLS 1.3, a token per workload, 32 requests at once');
const controlPlane = await startControlPlane([]);
const count = quick ? 300 : 5000;
const before = cpu();
const began = performance.now();
const worker = new Worker(join(import.meta.dirname, 'client.ts'), {
  workerData: {
    address: controlPlane.secure,
    root: controlPlane.root,
    tokens: Array.from({ length: 1000 }, (_, i) => accountToken(`ns-${i % 50}`, `account-${i}`)),
    csr: createCsr(generatePrivateKey(P256), []),
    count,
    atOnce: 32,
  },
});
await once(worker, 'message');
const seconds = (performance.now() - began) / 1000;
row('CA ECDSA P-256, workload P-256', cpu() - before, count, ` (${Math.round(count / seconds)} by the clock)`);
console.log('  without the TokenReview, which the API server answers and istiod remembers');

/** CPU of a process and of those that it has waited for, in seconds. */
function processCpu(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  // utime, stime, cutime and cstime, in ticks of 10 ms (proc(5)).
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

const built = join(import.meta.dirname, '../../dist/bin/pilot-agent.mjs');
if (!existsSync(built)) console.log('Agents are not measured: npm run build makes them first');
else {
  console.log('From the start of the agent to its certificate (key made in the pod, one request to the CA)');
  const times: number[] = [];
  const spent: number[] = [];
  for (let i = 0; i < (quick ? 2 : 10); i++) {
    const start = performance.now();
    const agent = await startAgent({
      command: [process.execPath, built],
      controlPlane,
      pod: { name: `cart-${i}`, namespace: 'shop', account: 'cart', ip: '127.0.0.1', labels: { app: 'cart' } },
      env: { DISABLE_ENVOY: 'true' },
    });
    while (!agent.output().includes('generated new workload certificate')) {
      if (performance.now() - start > 60_000) throw new Error(`no certificate:\n${agent.output()}`);
      await wait(2);
    }
    times.push(performance.now() - start);
    spent.push(processCpu(agent.process.pid ?? 0));
    await agent.stop();
  }
  times.sort((a, b) => a - b);
  const mean = spent.reduce((sum, one) => sum + one, 0) / spent.length;
  console.log(
    `  ${times.length} starts: median ${Math.round(times[Math.floor(times.length / 2)] ?? 0)} ms, slowest ${Math.round(times.at(-1) ?? 0)} ms by the clock; ${(mean * 1000).toFixed(0)} ms of CPU`,
  );
}
await controlPlane.close();
process.exit(0);
