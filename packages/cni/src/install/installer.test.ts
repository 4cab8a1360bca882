import assert from 'node:assert/strict';
import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@istio-ts/agent/log';
import { loadKubeConfig } from '@istio-ts/kube/kubeconfig';
import { InstallError, type Installer, installOnce, startInstaller, uninstallOnce } from './installer.ts';
import { NoNetworkFileError } from './network-files.ts';
import { type InstallSettings, InstallSettingsError, readInstallSettings } from './settings.ts';

let root = '';
let running: Installer | undefined;
beforeEach(async () => {
  root = await fs.mkdtemp(join(tmpdir(), 'install-cni-'));
  for (const name of ['net.d', 'bin', 'run', 'account']) await fs.mkdir(join(root, name));
  await fs.writeFile(join(root, 'account/token'), 'first-token');
  await fs.writeFile(join(root, 'account/ca.crt'), 'authority');
  await fs.writeFile(join(root, 'bundle.mjs'), 'the plugin');
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  await fs.rm(root, { recursive: true, force: true });
});

const settings = (env: Readonly<Record<string, string>> = {}): InstallSettings =>
  readInstallSettings([], {
    MOUNTED_CNI_NET_DIR: join(root, 'net.d'),
    MOUNTED_CNI_BIN_DIR: join(root, 'bin'),
    CNI_AGENT_RUN_DIR: join(root, 'run'),
    SERVICE_ACCOUNT_DIR: join(root, 'account'),
    KUBERNETES_SERVICE_HOST: 'fd00::1',
    KUBERNETES_SERVICE_PORT: '443',
    EXCLUDE_NAMESPACES: 'istio-system, kube-system',
    ...env,
  });
const sources = () => ({ bundle: join(root, 'bundle.mjs'), runtime: undefined, nodeRuntime: '/usr/bin/no de' });
const write = (name: string, text: string) => fs.writeFile(join(root, 'net.d', name), text);
const read = (name: string) => fs.readFile(join(root, 'net.d', name), 'utf8');
const types = async (name: string) =>
  JSON.parse(await read(name)).plugins.map(({ type }: { readonly type: string }) => type);
const calico =
  '{"name":"k8s-pod-network",  "cniVersion":"0.3.1","plugins":[{"type":"calico","mtu":0},{"type":"portmap"}]}';

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('not in time');
    await sleep(10);
  }
}

test('installs into the first valid configuration, and leaves it byte by byte as it was', async () => {
  await write('05-broken.conflist', '{"plugins":');
  await write('10-calico.conflist', calico);
  await write('20-other.conflist', '{"name":"o","cniVersion":"1.0.0","plugins":[{"type":"bridge"}]}');
  const first = await installOnce(settings(), sources());
  assert.equal(first.file, '10-calico.conflist');
  assert.deepEqual(JSON.parse(await read('10-calico.conflist')), {
    name: 'k8s-pod-network',
    cniVersion: '0.3.1',
    plugins: [
      { type: 'calico', mtu: 0 },
      { type: 'portmap' },
      {
        type: 'istio-cni',
        log_level: 'info',
        cni_agent_run_dir: join(root, 'run'),
        kubernetes: {
          kubeconfig: '/etc/cni/net.d/ZZZ-istio-cni-kubeconfig',
          cni_bin_dir: '/opt/cni/bin',
          exclude_namespaces: ['istio-system', 'kube-system'],
        },
      },
    ],
  });
  assert.deepEqual((await installOnce(settings(), sources())).changed, []);

  // Other settings, from the next agent.
  await installOnce(settings({ EXCLUDE_NAMESPACES: 'monitoring', LOG_LEVEL: 'debug' }), sources());
  assert.match(await read('10-calico.conflist'), /"log_level": "debug"[\s\S]*"monitoring"/);
  assert.deepEqual(await uninstallOnce(settings()), ['10-calico.conflist']);
  assert.equal(await read('10-calico.conflist'), calico);
  assert.deepEqual(await fs.readdir(join(root, 'bin')), []);
  assert.deepEqual((await fs.readdir(join(root, 'net.d'))).sort(), [
    '05-broken.conflist',
    '10-calico.conflist',
    '20-other.conflist',
  ]);
});

test('a file of one plugin becomes a list, and one again', async () => {
  const bridge = '{"cniVersion":"0.4.0","name":"net","type":"bridge"}\n';
  await write('10-bridge.conf', bridge);
  assert.equal((await installOnce(settings(), sources())).file, '10-bridge.conflist');
  assert.deepEqual(await types('10-bridge.conflist'), ['bridge', 'istio-cni']);
  await assert.rejects(read('10-bridge.conf'));
  // The network plugin starts again and writes its file anew: runtimes would take that one.
  await write('10-bridge.conf', bridge.replace('net', 'renamed'));
  await installOnce(settings(), sources());
  assert.match(await read('10-bridge.conflist'), /renamed/);
  await uninstallOnce(settings());
  assert.equal(await read('10-bridge.conf'), bridge.replace('net', 'renamed'));
  await assert.rejects(read('10-bridge.conflist'));
});

test('changes of others survive the uninstallation', async () => {
  await write('10-calico.conflist', calico);
  await installOnce(settings(), sources());
  const list = JSON.parse(await read('10-calico.conflist'));
  list.plugins.splice(1, 0, { type: 'bandwidth' });
  await write('10-calico.conflist', JSON.stringify(list));
  await uninstallOnce(settings());
  assert.deepEqual(await types('10-calico.conflist'), ['calico', 'bandwidth', 'portmap']);
});

test('a network that becomes the first one is joined, and the one before it left', async () => {
  await write('10-calico.conflist', calico);
  await installOnce(settings(), sources());
  await write('05-cilium.conflist', '{"name":"cilium","cniVersion":"0.3.1","plugins":[{"type":"cilium-cni"}]}');
  await installOnce(settings(), sources());
  assert.deepEqual(await types('05-cilium.conflist'), ['cilium-cni', 'istio-cni']);
  assert.equal(await read('10-calico.conflist'), calico);
});

test('the named file is waited for; without a chain the plugin has a file of its own', async () => {
  await write('10-calico.conflist', calico);
  await assert.rejects(installOnce(settings({ CNI_CONF_NAME: '20-multus.conf' }), sources()), NoNetworkFileError);
  const own = settings({ CHAINED_CNI_PLUGIN: 'false' });
  assert.equal((await installOnce(own, sources())).file, 'YYY-istio-cni.conf');
  assert.equal(JSON.parse(await read('YYY-istio-cni.conf')).type, 'istio-cni');
  assert.equal(await read('10-calico.conflist'), calico);
  await uninstallOnce(own);
  await assert.rejects(read('YYY-istio-cni.conf'));
});

test('the kubeconfig works with IPv6, is private, and follows the token', async () => {
  await write('10-calico.conflist', calico);
  await installOnce(settings(), sources());
  const file = join(root, 'net.d/ZZZ-istio-cni-kubeconfig');
  const config = loadKubeConfig({ kubeconfig: file, env: {} });
  assert.equal(config.server, 'https://[fd00::1]:443');
  assert.equal(config.tls.ca, 'authority');
  assert.deepEqual(config.credentials, { kind: 'token', token: 'first-token' });
  assert.equal((await fs.stat(file)).mode & 0o777, 0o600);
  await fs.writeFile(join(root, 'account/token'), 'second-token');
  assert.deepEqual((await installOnce(settings(), sources())).changed, ['/etc/cni/net.d/ZZZ-istio-cni-kubeconfig']);
  assert.match(await read('ZZZ-istio-cni-kubeconfig'), /second-token/);
});

test('everything is restored while the agent runs: the chain, the programs; it waits for a network', async () => {
  const seen: string[] = [];
  running = startInstaller({
    settings: settings(),
    sources: sources(),
    log: createLogger({ write: () => undefined }),
    onInstall: ({ kind }) => seen.push(kind),
  });
  const installer = running;
  await until(() => installer.state().kind === 'waiting' && seen.includes('waiting'));
  await write('10-calico.conflist', calico);
  await until(() => installer.state().kind === 'installed');
  await write('10-calico.conflist', calico.replace('portmap', 'tuning'));
  await until(async () => (await types('10-calico.conflist')).join() === 'calico,tuning,istio-cni');
  await fs.rm(join(root, 'bin/istio-cni'));
  await until(async () => (await fs.readdir(join(root, 'bin'))).includes('istio-cni'));
  const kubeconfig = join(root, 'net.d/ZZZ-istio-cni-kubeconfig');
  const modeOf = async (path: string) => (await fs.stat(path).catch(() => undefined))?.mode;
  await fs.rm(kubeconfig);
  await until(async () => (await modeOf(kubeconfig)) !== undefined);
  await fs.chmod(kubeconfig, 0o644);
  await until(async () => (await modeOf(kubeconfig)) === 0o100600);
  await fs.writeFile(join(root, 'account/token'), 'next-token');
  await until(async () => (await fs.readFile(kubeconfig, 'utf8')).includes('next-token'));
  // Somebody deletes the network: there is nothing to join until it is back.
  await fs.rm(join(root, 'net.d/10-calico.conflist'));
  await until(() => installer.state().kind === 'waiting');
  await write('10-calico.conflist', calico.replace('portmap', 'tuning'));
  await until(async () => (await types('10-calico.conflist')).join() === 'calico,tuning,istio-cni');
  await installer.uninstall();
  assert.deepEqual(await types('10-calico.conflist'), ['calico', 'tuning']);
  assert.equal(installer.state().kind, 'waiting');
});

test('a failure says at which step, and ends with its cause', async () => {
  await write('10-calico.conflist', calico);
  await fs.rm(join(root, 'account/token'));
  const seen: string[] = [];
  running = startInstaller({
    settings: settings(),
    sources: sources(),
    log: createLogger({ write: () => undefined }),
    onInstall: (state) => seen.push(state.kind === 'failed' ? state.step : state.kind),
  });
  await until(() => seen.length > 0);
  assert.deepEqual(seen, ['CREATE_KUBECONFIG_FAILURE']);
  assert.equal(await read('10-calico.conflist'), calico);
  await fs.writeFile(join(root, 'account/token'), 'token');
  await until(() => seen.at(-1) === 'installed');
  await running.stop();
  const nowhere = settings({ MOUNTED_CNI_BIN_DIR: join(root, 'nowhere') });
  await assert.rejects(
    installOnce(nowhere, sources()),
    (error) => error instanceof InstallError && error.step === 'COPY_BINARIES_FAILURE' && /nowhere/.test(error.message),
  );
});

test('settings that cannot work name the flag', () => {
  for (const [argv, env, message] of [
    [['--no-such'], {}, /--no-such/],
    [['--monitoring-port=x'], {}, /monitoring-port/],
    [['--kubeconfig-mode=0680'], {}, /kubeconfig-mode: "0680" is not a number from 00? to 0777/],
    [[], { CHAINED_CNI_PLUGIN: 'maybe' }, /chained-cni-plugin/],
    [[], { CNI_CONF_NAME: '../x' }, /cni-conf-name/],
    [[], { FORCE_IPTABLES_BINARY: 'ebtables' }, /force-iptables-binary/],
  ] as const)
    assert.throws(
      () => readInstallSettings(argv, env),
      (error) => error instanceof InstallSettingsError && message.test(error.message),
    );
  const read = readInstallSettings(['--repair-delete-pods', '--log-level', 'debug'], {
    REPAIR_LABEL_KEY: 'a/b',
    NODE_NAME: 'n',
  });
  assert.equal(read.repair.deletePods, true);
  assert.equal(read.repair.labelKey, 'a/b');
  assert.equal(read.repair.nodeName, 'n');
  assert.equal(read.plugin.logLevel, 'debug');
});
