import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createLogger } from '@istio-ts/agent/log';
import { joinChain } from '../install/network-files.ts';
import { servePlugin } from '../install/plugin-server.ts';
import type { Pod } from './pod.ts';
import { installPlugin, type JsonObject, pluginEntryWith } from './plugin.test-support.ts';
import { localRuleWriter } from './rule-writer.ts';

/** Where distributions put the plugins of the CNI project. */
const others = ['/usr/lib/cni', '/opt/cni/bin'].find((path) =>
  ['ptp', 'host-local', 'portmap', 'tuning'].every((name) => existsSync(join(path, name))),
);
const skip =
  process.getuid?.() !== 0
    ? 'network namespaces need root'
    : others === undefined
      ? "the CNI project's plugins are not on this machine (Debian: containernetworking-plugins)"
      : false;
const node = `cni-chain-${process.pid}`;
const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8' });
let root = '';
let bin = '';

const pod = (name: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', uid: `uid-${name}`, annotations: { 'sidecar.istio.io/status': '{}' } },
  spec: { containers: [{ name: 'app' }, { name: 'istio-proxy', args: ['proxy', 'sidecar'] }] },
});

before(async () => {
  if (skip) return;
  root = await fs.mkdtemp(join(tmpdir(), 'cni-chain-'));
  // The node: plugins are called in its network.
  ip('netns', 'add', node);
  ip('-n', node, 'link', 'set', 'lo', 'up');
  bin = await installPlugin(root);
  await servePlugin(join(root, 'run'), {
    getPod: async (_, name) => pod(name),
    rules: localRuleWriter(undefined),
    reach: (netns) => netns,
    log: createLogger({ write: () => undefined }),
    onResult: () => undefined,
  });
});
after(async () => {
  if (skip) return;
  ip('netns', 'del', node);
  await fs.rm(root, { recursive: true, force: true });
});

interface List {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly (JsonObject & { readonly type: string })[];
}

/** Calls one plugin in the node's network; gives what it prints. Rejects when it fails. */
function callPlugin(type: string, command: string, netns: string, config: JsonObject): Promise<string> {
  const path = [bin, others ?? ''].map((folder) => join(folder, type)).find((file) => existsSync(file)) ?? type;
  const child = spawn('nsenter', [`--net=/run/netns/${node}`, '--', path], {
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_COMMAND: command,
      CNI_CONTAINERID: netns,
      CNI_NETNS: `/run/netns/${netns}`,
      CNI_IFNAME: 'eth0',
      CNI_PATH: `${bin}:${others}`,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${netns};K8S_POD_UID=uid-${netns}`,
    },
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(config));
  return new Promise((resolve, reject) => {
    child.on('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${type} ${command}: exit code ${code}: ${output}`));
    });
  });
}

/** The chain as runtimes run it (libcni): forwards with each result given to the next, backwards for DEL. */
async function run(list: List, command: 'ADD' | 'CHECK' | 'DEL', netns: string, result?: JsonObject) {
  let previous = result;
  for (const plugin of command === 'DEL' ? list.plugins.toReversed() : list.plugins) {
    const output = await callPlugin(plugin.type, command, netns, {
      ...plugin,
      name: list.name,
      cniVersion: list.cniVersion,
      ...(plugin.type === 'portmap' && { runtimeConfig: { portMappings: [] } }),
      ...(previous !== undefined && { prevResult: previous }),
    });
    if (command === 'ADD') previous = JSON.parse(output);
  }
  return previous;
}

/** Answers with its own port on all addresses of a namespace. */
async function listen(netns: string, ports: readonly number[]): Promise<() => void> {
  const code = `const net=require('net');let n=0;const ports=${JSON.stringify(ports)};for(const p of ports){net.createServer(s=>{s.on('error',()=>{});s.end(String(p))}).listen(p,'::',()=>{if(++n===ports.length)console.log('up')})}`;
  const child = spawn('nsenter', [`--net=/run/netns/${netns}`, '--', process.execPath, '-e', code]);
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  return () => child.kill();
}

const dial = (netns: string, host: string, port: number): string => {
  const script = `exec 3<>/dev/tcp/${host}/${port} && timeout 5 cat <&3`;
  return execFileSync('nsenter', [`--net=/run/netns/${netns}`, '--', 'bash', '-c', script], { encoding: 'utf8' });
};

const IPV4 = { subnet: '10.88.7.0/24' };
const IPV6 = { subnet: 'fd00:88:7::/64' };

const withoutIpv6 = (ranges: readonly (readonly { readonly subnet: string }[])[]): string | false =>
  ranges.flat().includes(IPV6) && !existsSync('/proc/net/if_inet6') ? 'this kernel has no IPv6' : false;

for (const [cniVersion, families, ranges] of [
  ['0.3.1', 'IPv4', [[IPV4]]],
  ['0.4.0', 'IPv6', [[IPV6]]],
  ['1.0.0', 'both', [[IPV4], [IPV6]]],
] as const)
  test(`between other plugins, with ${families} and version ${cniVersion} of the specification`, {
    skip: skip || withoutIpv6(ranges),
  }, async () => {
    const netns = `${node}-${families.toLowerCase()}`;
    const config = join(root, `net.d-${families}`);
    await fs.mkdir(config);
    const ipam = { type: 'host-local', dataDir: join(root, 'ipam'), ranges };
    const original = { cniVersion, name: `chain-${families}`, plugins: [{ type: 'ptp', ipam }, { type: 'portmap' }] };
    await fs.writeFile(join(config, '10-net.conflist'), JSON.stringify(original));
    await joinChain(config, pluginEntryWith(root) as never, undefined);
    const joined: List = JSON.parse(await fs.readFile(join(config, '10-net.conflist'), 'utf8'));
    // Somebody adds a plugin after ours, which gets the result of those before.
    const list: List = { ...joined, plugins: [...joined.plugins, { type: 'tuning', sysctl: {} }] };
    assert.deepEqual(
      list.plugins.map(({ type }) => type),
      ['ptp', 'portmap', 'istio-cni', 'tuning'],
    );
    ip('netns', 'add', netns);
    ip('-n', netns, 'link', 'set', 'lo', 'up');
    let stop = (): void => {};
    try {
      const result = await run(list, 'ADD', netns);
      const ips = (result?.ips ?? []) as readonly { readonly address: string }[];
      assert.equal(result?.cniVersion, cniVersion);
      assert.equal(ips.length, ranges.length);
      stop = await listen(netns, [9000, 15001, 15006]);
      for (const { address } of ips) assert.equal(dial(node, address.split('/')[0] ?? '', 9000), '15006');
      if (cniVersion !== '0.3.1') await run(list, 'CHECK', netns, result);
      await run(list, 'DEL', netns, result);
      await run(list, 'DEL', netns, result);
      stop();
      ip('netns', 'del', netns);
      await run(list, 'DEL', netns, result);
    } finally {
      stop();
      if (existsSync(`/run/netns/${netns}`)) ip('netns', 'del', netns);
    }
  });
