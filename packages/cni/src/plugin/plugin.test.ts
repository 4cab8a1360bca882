import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { applyInterception } from '@istio-ts/agent/iptables/apply';
import { DEFAULT_INTERCEPTION } from '@istio-ts/agent/iptables/settings';
import { createLogger } from '@istio-ts/agent/log';
import { KubeApiError } from '@istio-ts/kube/client';
import { installPlugin, type JsonObject, pluginEntryWith } from './plugin.test-support.ts';
import { servePlugin } from '../install/plugin-server.ts';
import { reachNamespace } from '../install/reach-namespace.ts';
import type { Pod } from './pod.ts';
import { createPodSource } from './pod-source.ts';
import { CniError } from './protocol.ts';
import { localRuleWriter } from './rule-writer.ts';

const skip = process.getuid?.() === 0 ? false : 'network namespaces need root';
const ns = `cni-test-${process.pid}`;
const peer = `${ns}-c`;
const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8' });
let root = '';
let api = '';
let bin = '';
const asked: string[] = [];
const pods = new Map<string, Pod | number>();
const server = createServer((request, response) => {
  asked.push(`${request.headers.authorization} ${request.url}`);
  const found = pods.get(request.url?.split('/').slice(-3).join('/') ?? '') ?? 404;
  response.writeHead(typeof found === 'number' ? found : 200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(typeof found === 'number' ? { kind: 'Status', message: `status ${found}` } : found));
});

const sidecar = (name: string, annotations: Readonly<Record<string, string>> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace: 'default',
    uid: `uid-${name}`,
    annotations: { 'sidecar.istio.io/status': '{}', ...annotations },
  },
  spec: { containers: [{ name: 'app' }, { name: 'istio-proxy', args: ['proxy', 'sidecar'] }] },
});

before(async () => {
  if (skip) return;
  root = await fs.mkdtemp(join(tmpdir(), 'istio-cni-'));
  for (const name of [ns, peer]) {
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
  ip('-n', ns, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', peer);
  ip('-n', ns, 'addr', 'add', '10.9.8.1/24', 'dev', 'eth0');
  ip('-n', peer, 'addr', 'add', '10.9.8.2/24', 'dev', 'eth0');
  for (const name of [ns, peer]) ip('-n', name, 'link', 'set', 'eth0', 'up');
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await fs.writeFile(
    join(root, 'kubeconfig'),
    `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "${api}"}}]
users: [{name: u, user: {token: secret}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`,
  );
  bin = await installPlugin(root);
});
after(async () => {
  if (skip) return;
  for (const name of [ns, peer]) ip('netns', 'del', name);
  server.close();
  await fs.rm(root, { recursive: true, force: true });
});

interface Outcome {
  readonly code: number | null;
  readonly answer: JsonObject | undefined;
  readonly output: string;
  readonly stderr: string;
}

const result = {
  cniVersion: '1.0.0',
  interfaces: [{ name: 'eth0', sandbox: `/run/netns/${ns}` }],
  ips: [{ address: '10.9.8.1/24', interface: 0 }],
  dns: { nameservers: ['10.96.0.10'] },
};

/** Calls the installed plugin as a container runtime does. */
async function call(command: string, pod: string, config: JsonObject = {}, env: NodeJS.ProcessEnv = {}) {
  const input = { ...pluginEntryWith(root), cniVersion: '1.0.0', name: 'net', prevResult: result, ...config };
  const { output: _, ...outcome } = await callWith(command, pod, JSON.stringify(input), env);
  return outcome;
}

function callWith(command: string, pod: string, input: string, env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const [namespace = '', name = ''] = pod.split('/');
  const child = spawn(join(bin, 'istio-cni'), {
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      NODE_OPTIONS: '--no-such-option',
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'c0ffee',
      CNI_NETNS: `/run/netns/${ns}`,
      CNI_IFNAME: 'eth0',
      CNI_PATH: bin,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_UID=uid-${name}`,
      ...env,
    },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve) => {
    child.on('close', (code) =>
      resolve({ code, answer: stdout.trim() === '' ? undefined : JSON.parse(stdout), output: stdout, stderr }),
    );
  });
}

/** Listens on these ports in a namespace and answers with the port's number. */
async function listeners(name: string, ports: readonly number[]): Promise<{ stop(): void }> {
  const code = `const net=require('net');let n=0;const ports=${JSON.stringify(ports)};for(const p of ports){net.createServer(s=>{s.on('error',()=>{});s.end(String(p))}).listen(p,'0.0.0.0',()=>{if(++n===ports.length)console.log('up')})}`;
  const child = spawn('nsenter', [`--net=/run/netns/${name}`, '--', process.execPath, '-e', code]);
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  return { stop: () => child.kill() };
}

/** Connects and gives what the other side says. */
function dial(name: string, uid: number, host: string, port: number): string {
  const enter = [`--net=/run/netns/${name}`, '--setuid', `${uid}`, '--setgid', `${uid}`, '--'];
  const script = `exec 3<>/dev/tcp/${host}/${port} && timeout 3 cat <&3`;
  return execFileSync('nsenter', [...enter, 'bash', '-c', script], { encoding: 'utf8' }).trim();
}
const rulesIn = (name: string): string =>
  execFileSync('nsenter', [`--net=/run/netns/${name}`, '--', 'iptables-nft-save'], { encoding: 'utf8' }).replace(
    /^#.*$/gm,
    '',
  );
const rules = (): string => rulesIn(ns);
const clear = (): void =>
  applyInterception(DEFAULT_INTERCEPTION, {
    families: [4, 6],
    networkNamespace: `/run/netns/${ns}`,
    cleanupOnly: true,
    print: () => undefined,
  });

test("a pod's traffic goes through its sidecar after ADD; the result before it is passed on", { skip }, async () => {
  pods.set('default/pods/web', sidecar('web', { 'traffic.sidecar.istio.io/excludeInboundPorts': '9001' }));
  const added = await call('ADD', 'default/web');
  assert.deepEqual(added, { code: 0, answer: result, stderr: added.stderr });
  assert.match(added.stderr, /set the interception rules/);
  assert.equal(asked.at(-1), 'Bearer secret /api/v1/namespaces/default/pods/web');
  const once = rules();
  const inside = await listeners(ns, [15001, 15006, 9000, 9001]);
  const outside = await listeners(peer, [9000]);
  try {
    assert.equal(dial(peer, 0, '10.9.8.1', 9000), '15006');
    assert.equal(dial(peer, 0, '10.9.8.1', 9001), '9001');
    assert.equal(dial(ns, 1000, '10.9.8.2', 9000), '15001');
    assert.equal(dial(ns, 1337, '10.9.8.2', 9000), '9000');
  } finally {
    inside.stop();
    outside.stop();
  }
  assert.equal((await call('ADD', 'default/web')).code, 0);
  assert.equal(rules(), once);
  assert.deepEqual(await call('CHECK', 'default/web'), { code: 0, answer: undefined, stderr: '' });
  clear();
  const checked = await call('CHECK', 'default/web');
  assert.equal(checked.code, 1);
  assert.equal(checked.answer?.code, 102);
  assert.match(String(checked.answer?.msg), /nat ISTIO_INBOUND/);
  assert.deepEqual(await call('DEL', 'default/web'), { code: 0, answer: undefined, stderr: '' });
});

test('other pods keep their network, and excluded namespaces are not even asked for', { skip }, async () => {
  pods.set('default/pods/plain', { ...sidecar('plain'), spec: { containers: [{ name: 'app' }] } });
  const before = asked.length;
  assert.equal((await call('ADD', 'default/plain')).code, 0);
  assert.equal(asked.length, before + 1);
  assert.deepEqual((await call('ADD', 'kube-system/dns')).answer, result);
  assert.equal(asked.length, before + 1);
  // Nobody can be asked about the agent itself, whose network is made while none runs; a pod of such a name elsewhere is one like others.
  const agents = { pod_namespace: 'istio-system' };
  assert.deepEqual((await call('ADD', 'istio-system/istio-cni-node-x7k2p', agents)).answer, result);
  assert.equal(asked.length, before + 1);
  pods.set('default/pods/istio-cni-node-x7k2p', { ...sidecar('istio-cni-node-x7k2p'), spec: { containers: [] } });
  assert.equal((await call('ADD', 'default/istio-cni-node-x7k2p', agents)).code, 0);
  assert.equal(asked.length, before + 2);
  assert.doesNotMatch(rules(), /ISTIO/);
});

test('the agent of the node is asked first, and gets the log', { skip }, async () => {
  const log: string[] = [];
  const results: number[] = [];
  const reached: string[] = [];
  // The node's process table: this process plays its first one.
  const proc = join(root, 'proc');
  await fs.mkdir(join(proc, '1/ns'), { recursive: true });
  await fs.symlink('/', join(proc, '1/root'));
  await fs.symlink(`/proc/${process.pid}/ns/net`, join(proc, '1/ns/net'));
  await servePlugin(join(root, 'run'), {
    getPod: async (namespace, name) => {
      if (name === 'gone') throw new KubeApiError(404, 'NotFound', 'no such pod');
      assert.equal(namespace, 'default');
      return sidecar(name);
    },
    rules: localRuleWriter(undefined),
    reach: (netns) => {
      reached.push(netns);
      // Nothing is mounted for the agent: the way is by the node's first process.
      return reachNamespace(netns, { proc, netns: join(root, 'not-mounted') });
    },
    log: createLogger({ levels: new Map([['default', 'debug']]), write: (line) => log.push(line) }),
    onResult: (code) => results.push(code),
  });
  const before = asked.length;
  assert.deepEqual(await call('ADD', 'default/agent'), { code: 0, answer: result, stderr: '' });
  assert.equal(asked.length, before);
  assert.deepEqual(results, [0]);
  assert.match(log.join(''), /plugin: set the interception rules.*pod=default\/agent/);
  assert.equal((await fs.stat(join(root, 'run/plugin.sock'))).mode & 0o777, 0o600);
  assert.deepEqual(reached, []);
  clear();
  // A node without iptables: the agent's writes the rules, and reads them.
  const byAgent = { rules_by: 'agent' };
  assert.deepEqual(await call('ADD', 'default/agent', byAgent), { code: 0, answer: result, stderr: '' });
  assert.match(rules(), /ISTIO_OUTPUT/);
  assert.equal((await call('CHECK', 'default/agent', byAgent)).code, 0);
  clear();
  const missing = await call('CHECK', 'default/agent', byAgent);
  assert.match(String(missing.answer?.msg), /interception rules for IPv4 are missing/);
  const host = await call('ADD', 'default/agent', byAgent, { CNI_NETNS: '/proc/1/ns/net' });
  assert.match(String(host.answer?.msg), /the node's own network/);
  const nowhere = await call('ADD', 'default/agent', byAgent, { CNI_NETNS: '/run/netns/none' });
  assert.match(String(nowhere.answer?.msg), /\/run\/netns\/none is not to be reached/);
  const silent = await call('ADD', 'default/web', { ...byAgent, cni_agent_run_dir: join(root, 'no-agent') });
  assert.match(String(silent.answer?.msg), /this node has no iptables programs, and the agent/);
  let clock = 0;
  const source = createPodSource(join(root, 'run'), join(root, 'kubeconfig'), () => (clock += 3000));
  await assert.rejects(
    source.get('default', 'gone', undefined),
    (error) => error instanceof CniError && error.code === 100,
  );
  // The pod of this name is a later one than the network is for.
  await assert.rejects(source.get('default', 'agent', 'other'), /another one of the same name/);
});

test('failures are answers that say what to do', { skip }, async () => {
  pods.set('default/pods/secret', 403);
  const alone = { cni_agent_run_dir: join(root, 'no-agent') };
  let clock = 0;
  const source = createPodSource(join(root, 'no-agent'), join(root, 'kubeconfig'), () => (clock += 3000));
  await assert.rejects(
    source.get('default', 'secret', undefined),
    (error) =>
      error instanceof CniError && error.code === 11 && /status 403.*take "istio-cni" out of/.test(error.message),
  );
  const noKubeconfig = await call('ADD', 'default/web', { ...alone, kubernetes: { kubeconfig: '/nowhere' } });
  assert.equal(noKubeconfig.answer?.code, 11);
  assert.match(String(noKubeconfig.answer?.msg), /istio-cni-node of this node writes that file/);
  const version = await call('ADD', 'default/web', { ...alone, cniVersion: '9.9.9' });
  assert.equal(version.answer?.code, 1);
  const environment = await call('ADD', 'default/web', alone, { CNI_NETNS: '' });
  assert.deepEqual([environment.answer?.code, environment.answer?.msg], [4, 'istio-cni: CNI_NETNS is missing']);
  pods.set('default/pods/odd', sidecar('odd', { 'traffic.sidecar.istio.io/includeInboundPorts': '80;reboot' }));
  const odd = await call('ADD', 'default/odd', alone);
  assert.equal(odd.answer?.code, 101);
  assert.match(String(odd.answer?.msg), /--istio-inbound-ports: "80;reboot" is not a port/);
});

test('calls that need no look at anything start nothing: they are answered without the runtime', { skip }, async () => {
  const runtime = join(bin, 'istio-cni-runtime');
  const newest = { cniVersion: '1.1.0' };
  const versions = { cniVersion: '1.1.0', supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] };
  await fs.rename(runtime, `${runtime}.away`);
  try {
    for (const command of ['DEL', 'DEL', 'GC', 'STATUS'])
      assert.deepEqual(await call(command, 'gone/gone', newest), { code: 0, answer: undefined, stderr: '' });
    assert.deepEqual(await call('VERSION', ''), { code: 0, answer: versions, stderr: '' });
    assert.notEqual((await call('ADD', 'default/web')).code, 0);
  } finally {
    await fs.rename(`${runtime}.away`, runtime);
  }
});

test('whatever comes on standard input is answered as the specification says', { skip }, async () => {
  const raw = (command: string, input: string): Promise<Outcome> => callWith(command, 'kube-system/dns', input);
  const entry = JSON.stringify(pluginEntryWith(root)).slice(1, -1);
  for (const input of ['', '{', '[]', 'null', '"x"', '\0']) {
    const { code, answer } = await raw('ADD', input);
    assert.deepEqual([code, answer?.code, answer?.cniVersion], [1, 6, '1.0.0'], input);
    assert.deepEqual(await raw('DEL', input), { code: 0, answer: undefined, output: '', stderr: '' });
  }
  const unknown = await raw('ATTACH', `{"cniVersion":"1.0.0",${entry}}`);
  assert.deepEqual([unknown.code, unknown.answer?.code], [1, 4]);
  for (const version of ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']) {
    // Numbers and an order of members that a program which reads and prints JSON would not keep.
    const previous = `{ "cniVersion": "${version}", "ips":[{"address":"10.0.0.1/24"}],\n "2":1.0, "1":12345678901234567890, "dns":{} }`;
    const { code, output } = await raw(
      'ADD',
      `{"cniVersion":"${version}","name":"n","prevResult":${previous},${entry}}`,
    );
    assert.deepEqual([code, output], [0, `${previous}\n`]);
    const first = await raw('ADD', `{"cniVersion":"${version}","name":"n",${entry}}`);
    assert.deepEqual(first.answer, { cniVersion: version, interfaces: [], ips: [], routes: [], dns: {} });
  }
  const filling = 'x"\\\n'.repeat(3_000_000);
  const huge = JSON.stringify({ cniVersion: '1.0.0', ips: [], filling });
  const answered = await raw('ADD', `{"cniVersion":"1.0.0","prevResult":${huge},${entry}}`);
  assert.equal(answered.code, 0);
  assert.equal(answered.output.length, huge.length + 1);
  const list = await raw('ADD', `{"cniVersion":"1.0.0","kubernetes":{"exclude_namespaces":"kube-system"}}`);
  assert.equal(list.answer?.code, 7);
});

test('many pods at once get their rules, each in its own network', { skip }, async () => {
  const names = Array.from({ length: 8 }, (_, index) => `${ns}-m${index}`);
  try {
    for (const name of names) ip('netns', 'add', name);
    const outcomes = await Promise.all(
      names.map((name, index) => {
        pods.set(
          `default/pods/m${index}`,
          sidecar(`m${index}`, { 'traffic.sidecar.istio.io/excludeInboundPorts': `90${10 + index}` }),
        );
        return call(
          'ADD',
          `default/m${index}`,
          { cni_agent_run_dir: join(root, 'no-agent') },
          { CNI_NETNS: `/run/netns/${name}` },
        );
      }),
    );
    assert.deepEqual(
      outcomes.map(({ code }) => code),
      names.map(() => 0),
    );
    for (const [index, name] of names.entries()) assert.match(rulesIn(name), new RegExp(`--dport 90${10 + index} `));
  } finally {
    for (const name of names) ip('netns', 'del', name);
  }
});
