import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readTar } from '@istio-ts/images/tar/read-tar';

const root = join(import.meta.dirname, '..');
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** Why the images are not built here. */
function missing(): string | false {
  if (process.env.E2E_IMAGES !== '1') return 'the images take minutes and Debian’s mirror: E2E_IMAGES=1 builds them';
  return process.getuid?.() === 0 ? false : 'chroot needs root';
}

describe('the images’ programs run in the images’ own files', { skip: missing() }, () => {
  let work = '';

  before(() => {
    work = mkdtempSync(join(tmpdir(), 'images-e2e-'));
    const words = [
      'pilot',
      'proxyv2',
      'install-cni',
      'istioctl',
      'whoami',
      '--arch',
      architecture,
      '--out',
      join(work, 'out'),
    ];
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts', 'images.mjs'), ...words], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
  });
  after(() => rmSync(work, { recursive: true, force: true }));

  /** Unpacks the first image of an archive; gives the folder. */
  function unpacked(name: string): string {
    const folder = join(work, 'roots', name);
    mkdirSync(folder, { recursive: true });
    const files = new Map(
      readTar(readFileSync(join(work, 'out', `${name}-linux-${architecture}.tar`))).map(({ path, data }) => [
        path,
        data,
      ]),
    );
    const [{ Layers }] = JSON.parse(files.get('manifest.json')?.toString() ?? '') as [{ Layers: string[] }];
    for (const layer of Layers) {
      writeFileSync(join(work, 'layer'), files.get(layer) ?? '');
      const { status, stderr } = spawnSync('tar', ['-xzpf', join(work, 'layer'), '-C', folder, '--numeric-owner'], {
        encoding: 'utf8',
      });
      assert.equal(status, 0, stderr);
    }
    return folder;
  }

  const run = (folder: string, words: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const { status, stdout, stderr, error } = spawnSync('chroot', ['--userspec=1337:1337', folder, ...words], {
      encoding: 'utf8',
      input: '',
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...env },
    });
    return { status, text: `${stdout}${stderr}${error?.message ?? ''}` };
  };

  for (const variant of ['', '-distroless']) {
    test(`pilot${variant}`, () => {
      const folder = unpacked(`pilot${variant}`);
      assert.match(run(folder, ['pilot-discovery', 'version']).text, /\d+\.\d+\.\d+/);
      assert.equal(run(folder, ['/bin/sh', '-c', 'true']).status === 0, variant === '');
    });

    test(`proxyv2${variant}`, () => {
      const folder = unpacked(`proxyv2${variant}`);
      assert.match(run(folder, ['pilot-agent', 'version']).text, /\d+\.\d+\.\d+/);
      assert.match(run(folder, ['envoy', '--version']).text, /envoy {2}version/);
      for (const program of ['iptables', 'ip6tables', 'iptables-legacy', 'iptables-nft', 'iptables-restore'])
        assert.match(run(folder, [program, '--version']).text, /v1\.\d+/, program);
      assert.match(run(folder, ['nft', '--version']).text, /nftables v/);
      assert.equal(run(folder, ['ip', '-V']).status, 0);
      assert.equal(run(folder, ['nsenter', '--version']).status, 0);
      for (const shell of ['sh', 'bash', 'dash'])
        assert.equal(run(folder, [`/bin/${shell}`, '-c', 'true']).status === 0, variant === '', shell);
      if (variant === '')
        for (const tool of ['curl', 'grep', 'jq']) assert.equal(run(folder, [tool, '--version']).status, 0, tool);
    });

    test(`install-cni${variant}`, () => {
      const folder = unpacked(`install-cni${variant}`);
      assert.match(run(folder, ['install-cni', 'version']).text, /^\d+\.\d+\.\d+/);
      const plugin = run(folder, ['/opt/cni/bin/istio-cni'], {
        CNI_COMMAND: 'VERSION',
        NODE_OPTIONS: '--no-such-flag',
      });
      assert.match(plugin.text, /"supportedVersions"/);
    });
  }

  test('istioctl has its charts', () => {
    const folder = unpacked('istioctl');
    assert.match(run(folder, ['istioctl', 'profile', 'list']).text, /demo/);
  });
});
