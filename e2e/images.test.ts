import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { VERSION } from '@istio-ts/api/version';
import { type ArchivedEntry, readTar } from '@istio-ts/images/tar/read-tar';
import {
  command,
  type Ended,
  type Engine,
  lacks,
  podmanWith,
  type Running,
  startContainerd,
  startDocker,
  startRegistry,
} from './support/container-engines.ts';

const root = join(import.meta.dirname, '..');
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const other = architecture === 'amd64' ? 'arm64' : 'amd64';

/** What the head of an executable says it was compiled for (ELF's e_machine). */
const MACHINES: Readonly<Record<string, number>> = { amd64: 62, arm64: 183 };

/** Why the images are not built here. */
function missing(): string | false {
  if (process.env.E2E_IMAGES !== '1') return 'the images take minutes and Debian’s mirror: E2E_IMAGES=1 builds them';
  return process.getuid?.() === 0 ? false : 'chroot and container engines need root';
}

/** Copies the sources and their libraries: who works on them meanwhile changes no image between two builds. */
function copySources(from: string, to: string): string {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from).filter((entry) => !['node_modules', 'dist', 'release'].includes(entry)))
    cpSync(join(from, name), join(to, name), { recursive: true, verbatimSymlinks: true });
  const libraries = [join(from, 'node_modules'), join(to, 'node_modules')];
  // Links where both are on the same disk.
  if (spawnSync('cp', ['-al', ...libraries]).status === 0) return to;
  rmSync(join(to, 'node_modules'), { recursive: true, force: true });
  assert.equal(spawnSync('cp', ['-a', ...libraries]).status, 0);
  return to;
}

/** Runs `npm run images` in a copy of the repository. */
function imagesOf(folder: string, words: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const node = join(folder, 'node_modules', '.bin', 'node');
  const { status, stderr } = spawnSync(node, [join(folder, 'scripts', 'images.mjs'), ...words], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  assert.equal(status, 0, stderr);
}

const files = (archive: string): Map<string, Buffer> =>
  new Map(readTar(readFileSync(archive)).map(({ path, data }) => [path, data]));

const manifestOf = (archive: ReadonlyMap<string, Buffer>): { readonly Config: string; readonly Layers: string[] } =>
  JSON.parse(archive.get('manifest.json')?.toString() ?? '[{}]')[0];

describe('images', { skip: missing() }, () => {
  let work = '';
  let out = '';
  /** The sources that all images are built from. */
  let sources = '';
  const images = (...words: readonly string[]): void => imagesOf(sources, words);
  /** Engines that tests started. */
  const running: Running[] = [];

  before(() => {
    work = mkdtempSync(join(tmpdir(), 'images-e2e-'));
    out = join(work, 'out');
    sources = copySources(root, join(work, 'sources'));
    images('pilot', 'proxyv2', 'install-cni', 'istioctl', 'console', 'whoami', '--split', '--out', out);
  });
  after(async () => {
    for (const { stop } of running) await stop();
    rmSync(work, { recursive: true, force: true });
  });

  const archive = (name: string, platform = architecture): string => join(out, `${name}-linux-${platform}.tar`);
  const started = async <Program extends Running>(program: Promise<Program> | Program): Promise<Program> => {
    const result = await program;
    running.push(result);
    return result;
  };
  const registryProgram = process.env.DOCKER_REGISTRY || '/usr/bin/docker-registry';
  const registry = once(() => started(startRegistry(join(work, 'registry'), registryProgram)));
  const published = once(async () => {
    const { address } = await registry();
    images('push', `${address}/mesh`, 'pilot', 'proxyv2');
    return `${address}/mesh`;
  });
  const docker = once(() => started(startDocker(join(work, 'docker'))));
  const podman = once(() => started(podmanWith(join(work, 'podman'), 'podman')));
  const noRegistry = existsSync(registryProgram)
    ? false
    : 'docker-registry is not on this machine (name it in DOCKER_REGISTRY)';
  const noDocker = lacks('dockerd', 'docker', 'containerd', 'runc');

  describe('their programs run in their own files', () => {
    /** Unpacks an image of an archive; gives the folder. */
    function unpacked(name: string, platform = architecture): string {
      const folder = join(work, 'roots', platform, name);
      mkdirSync(folder, { recursive: true });
      const found = files(archive(name, platform));
      for (const layer of manifestOf(found).Layers) {
        writeFileSync(join(work, 'layer'), found.get(layer) ?? '');
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

    const emulator = `qemu-${other === 'arm64' ? 'aarch64' : 'x86_64'}-static`;
    test('those for the other architecture run, too', { skip: lacks(emulator) }, () => {
      const folder = unpacked('proxyv2-distroless', other);
      copyFileSync(join('/usr/bin', emulator), join(folder, 'emulator'));
      assert.match(run(folder, ['/emulator', '/usr/local/bin/envoy', '--version']).text, /envoy {2}version/);
      const agent = ['/usr/local/bin/node', '/opt/istio-ts/dist/bin/pilot-agent.mjs', 'version'];
      assert.match(run(folder, ['/emulator', ...agent]).text, /\d+\.\d+\.\d+/);
    });

    test('istioctl has its charts', () => {
      const folder = unpacked('istioctl');
      assert.match(run(folder, ['istioctl', 'profile', 'list']).text, /demo/);
    });
  });

  test('every executable is for the image’s architecture, and so is what the image says of itself', () => {
    const seen = new Set<string>();
    for (const platform of [architecture, other] as const) {
      for (const name of ['proxyv2', 'proxyv2-distroless', 'install-cni', 'install-cni-distroless', 'samples']) {
        const found = files(archive(name, platform));
        const { Config, Layers } = manifestOf(found);
        assert.equal(JSON.parse(found.get(Config)?.toString() ?? '').architecture, platform);
        let executables = 0;
        for (const layer of Layers) {
          // Images share layers: each is looked into once for a platform.
          if (seen.has(platform + layer)) continue;
          seen.add(platform + layer);
          for (const { path, kind, data } of readTar(gunzipSync(found.get(layer) ?? ''))) {
            if (kind !== 'file' || data.toString('latin1', 0, 4) !== '\x7fELF') continue;
            executables++;
            assert.equal(data.readUInt16LE(18), MACHINES[platform], `${name} for ${platform}: ${path}`);
          }
        }
        if (name === 'proxyv2') assert.ok(executables > 100, 'Envoy, Node, tools and libraries were looked at');
      }
    }
  });

  test('sources in another folder give the same bytes', () => {
    const folder = copySources(sources, join(work, 'another', 'place'));
    const again = join(work, 'again');
    imagesOf(folder, ['pilot', 'istioctl', 'whoami', '--arch', architecture, '--out', again], {
      TZ: 'Asia/Tokyo',
      TMPDIR: join(work, 'another'),
    });
    // Provenance also says which other images were built.
    const names = readdirSync(again).filter((name) => !name.endsWith('.intoto.json'));
    assert.ok(names.includes(`istioctl-linux-${architecture}.tar`) && names.length >= 10, names.join());
    for (const name of names)
      assert.ok(readFileSync(join(again, name)).equals(readFileSync(join(out, name))), `${name} differs`);
  });

  /** What an engine has to show of an image that it loaded or fetched. */
  function runs(engine: Engine, reference: string, program: string, distroless: boolean): void {
    const given = (ended: Ended): string => ended.text.trim();
    assert.match(given(engine.run('run', ...engine.once, reference, 'version')), /1\.\d+\.\d+/);
    const shell = engine.run('run', ...engine.once, '--entrypoint', 'sh', reference, '-c', 'id -u; id -g');
    if (distroless) assert.match(`${shell.status} ${given(shell)}`, /^127 .*(not found|no such file)/is);
    else assert.equal(given(shell), program === 'install-cni' ? '0\n0' : '1337\n1337');
  }

  test('docker loads and runs them', {
    skip: noDocker,
  }, async () => {
    const engine = await docker();
    for (const name of ['pilot', 'pilot-distroless', 'istioctl', 'install-cni', 'proxyv2-distroless']) {
      const loaded = engine.run('load', '--input', archive(name));
      assert.equal(loaded.status, 0, loaded.text);
      const [, base = '', suffix = ''] = /^(.*?)(-distroless)?$/.exec(name) ?? [];
      runs(engine, `docker.io/istio/${base}:${VERSION}${suffix}`, base, suffix !== '');
    }
  });

  test('podman loads and runs them', { skip: lacks('podman', 'runc') }, async () => {
    const engine = await podman();
    for (const name of ['pilot', 'istioctl-distroless']) {
      const loaded = engine.run('load', '--quiet', '--input', archive(name));
      assert.equal(loaded.status, 0, loaded.text);
      const [, base = '', suffix = ''] = /^(.*?)(-distroless)?$/.exec(name) ?? [];
      runs(engine, `docker.io/istio/${base}:${VERSION}${suffix}`, base, suffix !== '');
    }
  });

  test('containerd imports and runs them', { skip: lacks('containerd', 'ctr', 'runc') }, async () => {
    const engine = await started(startContainerd(join(work, 'containerd')));
    for (const name of ['pilot', 'samples']) {
      const imported = engine.run('images', 'import', join(out, `${name}.tar`));
      assert.equal(imported.status, 0, imported.text);
    }
    const reference = `docker.io/istio/pilot:${VERSION}`;
    assert.match(engine.run('run', ...engine.once, reference, 'one', 'pilot-discovery', 'version').text, /1\.\d+\.\d+/);
    assert.match(engine.run('images', 'list').stdout, /docker\.io\/library\/whoami:v2/);
    if (noRegistry) return;
    const hub = await published();
    const pulled = engine.run('images', 'pull', '--plain-http', `${hub}/proxyv2:${VERSION}-distroless`);
    assert.equal(pulled.status, 0, pulled.text);
  });

  test('skopeo copies them to a registry and back with all their architectures', {
    skip: lacks('skopeo') || noRegistry,
  }, async () => {
    const { address } = await registry();
    const source = `oci-archive:${join(out, 'pilot.tar')}:docker.io/istio/pilot:${VERSION}`;
    const copy = (...words: readonly string[]): void => {
      const { status, text } = command('skopeo', ['copy', '--all', ...words]);
      assert.equal(status, 0, text);
    };
    const raw = (...words: readonly string[]): string => command('skopeo', ['inspect', '--raw', ...words]).stdout;
    const remote = `docker://${address}/copied/pilot:${VERSION}`;
    copy('--dest-tls-verify=false', source, remote);
    const index = raw('--tls-verify=false', remote);
    assert.deepEqual(
      JSON.parse(index).manifests.map(({ platform }: { platform: { architecture: string } }) => platform.architecture),
      ['amd64', 'arm64'],
    );
    assert.equal(index, raw(source), 'the registry has the archive’s very index');
    copy('--src-tls-verify=false', remote, `oci-archive:${join(work, 'back.tar')}:back`);
    assert.equal(raw(`oci-archive:${join(work, 'back.tar')}`), index);
    copy('--dest-tls-verify=false', `docker-archive:${archive('proxyv2')}`, `docker://${address}/copied/proxyv2:1`);
  });

  test('published images have their bill of materials and provenance with them', { skip: noRegistry }, async () => {
    const [, address = '', path = ''] = /^([^/]+)\/(.*)$/.exec(await published()) ?? [];
    const repository = `http://${address}/v2/${path}/pilot`;
    const accept = { accept: 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json' };
    const image = await fetch(`${repository}/manifests/${VERSION}`, { headers: accept });
    const digest = image.headers.get('docker-content-digest') ?? '';
    const listed = await fetch(`${repository}/manifests/${digest.replace(':', '-')}`, { headers: accept });
    const { manifests } = (await listed.json()) as { manifests: { digest: string; artifactType: string }[] };
    const documents = new Map<string, string>();
    for (const { digest: name, artifactType } of manifests) {
      const answer = await fetch(`${repository}/manifests/${name}`, { headers: accept });
      const manifest = (await answer.json()) as { subject: { digest: string }; layers: { digest: string }[] };
      assert.equal(manifest.subject.digest, digest);
      documents.set(artifactType, await (await fetch(`${repository}/blobs/${manifest.layers[0]?.digest}`)).text());
    }
    const bill = JSON.parse(documents.get('application/spdx+json') ?? '');
    assert.equal(
      bill.packages.find(({ name }: { name: string }) => name.endsWith(`/pilot:${VERSION}`)).versionInfo,
      digest,
    );
    const { subject } = JSON.parse(documents.get('application/vnd.in-toto+json') ?? '');
    assert.equal(`sha256:${subject[0].digest.sha256}`, digest);
  });

  test('docker pulls what was published', {
    skip: noDocker || noRegistry,
  }, async () => {
    const reference = `${await published()}/pilot:${VERSION}-distroless`;
    const engine = await docker();
    assert.equal(engine.run('pull', reference).status, 0);
    runs(engine, reference, 'pilot', true);
    const foreign = engine.run('pull', '--platform', `linux/${other}`, reference);
    assert.equal(foreign.status, 0, foreign.text);
    assert.equal(engine.run('image', 'inspect', '--format', '{{.Architecture}}', reference).stdout.trim(), other);
  });

  test('podman pulls what was published', { skip: lacks('podman', 'runc') || noRegistry }, async () => {
    const reference = `${await published()}/proxyv2:${VERSION}`;
    const engine = await podman();
    const pulled = engine.run('pull', '--quiet', '--tls-verify=false', reference);
    assert.equal(pulled.status, 0, pulled.text);
    runs(engine, reference, 'proxyv2', false);
  });

  /** What matters of a container's files; engines put files of their own, with the time of the start, into every container. */
  const fileList = (entries: readonly ArchivedEntry[]): string[] =>
    entries
      .filter(({ path }) => !/^(\.dockerenv|dev\/.*|etc\/(hostname|hosts|resolv\.conf|mtab))$/.test(path))
      .map(({ path, kind, mode, user, group, target, data, time }) =>
        [path, kind, mode.toString(8), user, group, target, kind === 'directory' ? '' : time, hash(data)].join(' '),
      )
      .sort();

  test('Dockerfiles give the same files and the same start', {
    skip: noDocker,
  }, async () => {
    const engine = await docker();
    images('dockerfiles', 'pilot', 'proxyv2', 'install-cni', 'istioctl', 'console', 'whoami', '--out', out);
    const exported = (image: string): { readonly list: string[]; readonly config: string } => {
      const made = engine.run('create', '--network=none', image, 'x');
      assert.equal(made.status, 0, made.text);
      const file = join(work, 'export.tar');
      assert.equal(engine.run('export', '--output', file, made.stdout.trim()).status, 0);
      assert.equal(engine.run('rm', made.stdout.trim()).status, 0);
      const { User, Env, Entrypoint, Cmd, WorkingDir, Labels } = JSON.parse(
        engine.run('image', 'inspect', '--format', '{{json .Config}}', image).stdout,
      );
      return {
        list: fileList(readTar(readFileSync(file))),
        config: JSON.stringify([User, Env, Entrypoint, Cmd, WorkingDir, Labels]),
      };
    };
    for (const [name, folder, reference] of [
      ['pilot', 'pilot', `docker.io/istio/pilot:${VERSION}`],
      ['proxyv2-distroless', 'proxyv2-distroless', `docker.io/istio/proxyv2:${VERSION}-distroless`],
      ['install-cni', 'install-cni', `docker.io/istio/install-cni:${VERSION}`],
      ['istioctl-distroless', 'istioctl-distroless', `docker.io/istio/istioctl:${VERSION}-distroless`],
      ['console', 'console', `docker.io/istio/console:${VERSION}`],
      ['samples', 'docker.io-library-whoami-v2', 'docker.io/library/whoami:v2'],
    ] as const) {
      const context = join(out, 'docker', folder);
      const file = join(context, `Dockerfile.${architecture}`);
      const built = engine.run(
        'build',
        '--quiet',
        '--platform',
        `linux/${architecture}`,
        '--file',
        file,
        '--tag',
        `built/${folder}`,
        context,
      );
      assert.equal(built.status, 0, built.text);
      assert.equal(engine.run('load', '--input', archive(name)).status, 0);
      const ours = exported(reference);
      const theirs = exported(`built/${folder}`);
      assert.ok(ours.list.length > 500, `${ours.list.length} files`);
      assert.deepEqual(
        theirs.list.filter((line) => !ours.list.includes(line)),
        [],
        name,
      );
      assert.equal(theirs.list.length, ours.list.length, name);
      // docker says null where there is no command, buildah and the archive nothing.
      assert.equal(theirs.config, ours.config, name);
    }
  });

  test('one Dockerfile gives buildah the images of all architectures', { skip: lacks('buildah') }, () => {
    images('dockerfiles', 'whoami', '--out', out);
    const { run, stop } = podmanWith(join(work, 'buildah'), 'buildah');
    running.push({ stop });
    const context = join(out, 'docker', 'docker.io-library-whoami-v1');
    const built = run('build', '--quiet', '--platform', 'linux/amd64,linux/arm64', '--manifest', 'both', context);
    assert.equal(built.status, 0, built.text);
    const { manifests } = JSON.parse(run('manifest', 'inspect', 'both').stdout);
    assert.deepEqual(
      manifests.map(({ platform }: { platform: { architecture: string } }) => platform.architecture).sort(),
      ['amd64', 'arm64'],
    );
  });
});

const hash = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

/** The value of `make`, which is asked once and when it is needed. */
function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
