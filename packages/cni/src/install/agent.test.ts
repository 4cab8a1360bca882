import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '@istio-ts/agent/agent.test-support';
import { build } from 'esbuild';

let root = '';
let daemonSet: 'present' | 'absent' = 'present';
const children: ChildProcess[] = [];
const api = createServer((request, response) => {
  const path = request.url ?? '';
  const found = path.includes('/pods/')
    ? { kind: 'Pod', metadata: { name: 'agent', ownerReferences: [{ kind: 'DaemonSet', name: 'istio-cni-node' }] } }
    : daemonSet === 'present' && path.endsWith('/daemonsets/istio-cni-node')
      ? { kind: 'DaemonSet', metadata: { name: 'istio-cni-node' } }
      : undefined;
  response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(found ?? { kind: 'Status', reason: 'NotFound', message: 'not found', code: 404 }));
});

before(async () => {
  root = await fs.mkdtemp(join(tmpdir(), 'cni-agent-'));
  for (const name of ['net.d', 'bin', 'run', 'account']) await fs.mkdir(join(root, name));
  await fs.writeFile(join(root, 'account/token'), 'token');
  await fs.writeFile(join(root, 'account/ca.crt'), 'authority');
  for (const name of ['install-cni', 'istio-cni'])
    await build({
      entryPoints: [join(import.meta.dirname, `../bin/${name}.ts`)],
      outfile: join(root, `${name}.mjs`),
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node24',
      banner: { js: "import{createRequire as r}from'node:module';const require=r(import.meta.url);" },
    });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  await fs.writeFile(
    join(root, 'kubeconfig'),
    `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:${(api.address() as AddressInfo).port}"}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`,
  );
});
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  api.close();
  await fs.rm(root, { recursive: true, force: true });
});

/** Asks again until the condition holds; the last answer when it does. */
async function until<Answer>(ask: () => Promise<Answer>, holds: (answer: Answer) => boolean): Promise<Answer> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const answer = await ask().catch((error: Error) => error);
    if (!(answer instanceof Error) && holds(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`not in time: ${JSON.stringify(answer)}`);
    await sleep(20);
  }
}

interface Agent {
  readonly get: (what: 'readyz' | 'healthz' | 'metrics') => Promise<{ readonly status: number; readonly text: string }>;
  readonly log: () => string;
  /** Gives the exit code. */
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>;
}

async function startAgent(): Promise<Agent> {
  const [readiness, monitoring] = [await freePort(), await freePort()];
  const child = spawn(process.execPath, ['--no-warnings', join(root, 'install-cni.mjs')], {
    env: {
      KUBECONFIG: join(root, 'kubeconfig'),
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      MOUNTED_CNI_NET_DIR: join(root, 'net.d'),
      MOUNTED_CNI_BIN_DIR: join(root, 'bin'),
      CNI_NET_DIR: join(root, 'net.d'),
      CNI_AGENT_RUN_DIR: join(root, 'run'),
      SERVICE_ACCOUNT_DIR: join(root, 'account'),
      READINESS_PORT: String(readiness),
      MONITORING_PORT: String(monitoring),
      ISTIO_CNI_NODE_RUNTIME: process.execPath,
      POD_NAME: 'agent',
      POD_NAMESPACE: 'kube-system',
      EXCLUDE_NAMESPACES: 'kube-system',
    },
  });
  children.push(child);
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  const ended = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)));
  return {
    get: async (what) => {
      const response = await fetch(`http://127.0.0.1:${what === 'metrics' ? monitoring : readiness}/${what}`);
      return { status: response.status, text: await response.text() };
    },
    log: () => log,
    end: (signal) => {
      child.kill(signal);
      return ended;
    },
  };
}

const everything = async () =>
  (await fs.readdir(root, { recursive: true })).filter((name) => !/\.mjs$/.test(name)).sort();
const conflist = () => join(root, 'net.d/10-net.conflist');
const original = '{"name":"net",  "cniVersion":"1.0.0","plugins":[{"type":"bridge"}]}\n';
/** Our entry of the chain, once it is there. */
let entry: object = {};
const plugin = (command: string) =>
  spawnSync(join(root, 'bin/istio-cni'), {
    env: {
      PATH: '/usr/bin:/bin',
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'c',
      CNI_NETNS: '/run/netns/none',
      CNI_ARGS: 'K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=dns',
    },
    input: JSON.stringify({ cniVersion: '1.1.0', name: 'net', ...entry }),
    encoding: 'utf8',
  });

test('the agent is ready when the plugin is installed, leaves it to the next one, and takes all of it away in the end', async () => {
  const untouched = await everything();
  const first = await startAgent();
  const waiting = await until(
    () => first.get('readyz'),
    ({ text }) => text.includes('no CNI configuration'),
  );
  assert.equal(waiting.status, 503);
  assert.equal((await first.get('healthz')).status, 200);
  // Its port opens after that of the readiness.
  const early = await until(
    () => first.get('metrics'),
    ({ status }) => status === 200,
  );
  assert.match(early.text, /^istio_cni_install_ready 0$/m);

  await fs.writeFile(conflist(), original);
  await until(
    () => first.get('readyz'),
    ({ status }) => status === 200,
  );
  const metrics = (await first.get('metrics')).text;
  assert.match(metrics, /^istio_cni_install_ready 1$/m);
  assert.match(metrics, /^istio_cni_installs_total\{result="SUCCESS"\} 1$/m);
  entry = JSON.parse(await fs.readFile(conflist(), 'utf8')).plugins.at(-1);
  assert.equal(plugin('STATUS').status, 0);
  assert.equal(plugin('ADD').status, 0);
  await until(
    async () => (await first.get('metrics')).text,
    (text) => /^istio_cni_plugin_requests_total\{response_code="0"\} 1$/m.test(text),
  );

  // Its pod is replaced: networks are made meanwhile.
  assert.equal(await first.end('SIGTERM'), 0);
  assert.match(first.log(), /install-cni \S+.*excludeNamespaces=kube-system/);
  assert.match(first.log(), /waiting for the network plugin of the cluster/);
  assert.match(first.log(), /installed.*configuration=10-net\.conflist/);
  assert.match(first.log(), /the plugin stays for the next agent of this node/);
  assert.equal(plugin('ADD').status, 0);

  // One is killed, and its socket stays.
  const second = await startAgent();
  await until(
    () => second.get('readyz'),
    ({ status }) => status === 200,
  );
  await second.end('SIGKILL');
  assert.equal(plugin('ADD').status, 0);

  const third = await startAgent();
  await until(
    () => third.get('readyz'),
    ({ status }) => status === 200,
  );
  daemonSet = 'absent';
  assert.equal(await third.end('SIGTERM'), 0);
  assert.match(third.log(), /the DaemonSet is gone or going/);
  assert.match(third.log(), /uninstalled.*configuration=10-net\.conflist/);
  assert.equal(await fs.readFile(conflist(), 'utf8'), original);
  await fs.rm(conflist());
  assert.deepEqual(await everything(), untouched);
});
