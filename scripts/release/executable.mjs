// istioctl as one file that needs no Node: the pinned Node with the bundled program and the charts inside (Node's "single executable applications").
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Marks in Node's binary where the size of an added program is looked up. */
const sentinel = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const npmNames = { amd64: 'x64', arm64: 'arm64' };

function mustRun(command, args, options) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${error?.message ?? stderr}`);
  return stdout;
}

/** The pinned Node of an architecture: the installed one, else fetched with npm and checked against the lock file. */
export function nodeBinary(root, arch, work) {
  const name = `node-linux-${npmNames[arch]}`;
  const installed = join(root, 'node_modules', name, 'bin', 'node');
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages[`node_modules/${name}`];
  if (process.arch === npmNames[arch]) return installed;
  const folder = join(work, name);
  mkdirSync(folder, { recursive: true });
  mustRun('npm', ['pack', '--silent', `${name}@${lock.version}`, '--pack-destination', folder], { cwd: work });
  const archive = join(folder, readdirSync(folder).find((file) => file.endsWith('.tgz')) ?? '');
  const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (lock.integrity !== undefined && found !== lock.integrity)
    throw new Error(
      `${name} ${lock.version} is not what package-lock.json names (${found} instead of ${lock.integrity})`,
    );
  mustRun('tar', ['-xzf', archive, '-C', folder]);
  return join(folder, 'package', 'bin', 'node');
}

/** Every file below a folder, as paths relative to it, sorted. */
export function filesBelow(folder, below = '') {
  return readdirSync(join(folder, below), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      return entry.isDirectory() ? filesBelow(folder, path) : [path];
    });
}

/** What is put into Node: istioctl in one script, and the charts. It is the same for all architectures. */
export async function programBlob(root, node, manifests, work) {
  const { build } = await import('esbuild');
  await build({
    absWorkingDir: root,
    entryPoints: ['packages/istioctl/src/bin/istioctl.ts'],
    outfile: join(work, 'istioctl.cjs'),
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    define: { 'import.meta.url': '__url', 'import.meta.dirname': '__dirname' },
    banner: { js: "const __url=require('node:url').pathToFileURL(__filename).href;" },
  });
  const files = Object.fromEntries(
    filesBelow(manifests).map((path) => [path, readFileSync(join(manifests, path), 'utf8')]),
  );
  writeFileSync(join(work, 'manifests.json'), JSON.stringify(files));
  writeFileSync(
    join(work, 'sea.json'),
    JSON.stringify({
      main: 'istioctl.cjs',
      output: 'istioctl.blob',
      disableExperimentalSEAWarning: true,
      assets: { 'manifests.json': 'manifests.json' },
    }),
  );
  mustRun(node, ['--experimental-sea-config', 'sea.json'], { cwd: work });
  return readFileSync(join(work, 'istioctl.blob'));
}

/** Writes the executable: Node with the blob added as a note of the ELF file. */
export async function writeExecutable(node, blob, target) {
  const { inject } = (await import('postject')).default;
  copyFileSync(node, target);
  chmodSync(target, 0o755);
  // postject's ELF library complains about names of sections that Node does not have; nothing is wrong with the result.
  const warn = console.warn;
  const error = console.error;
  const own =
    (print) =>
    (text, ...more) => {
      if (!String(text).startsWith("warning: Can't find string offset")) print(text, ...more);
    };
  console.warn = own(warn);
  console.error = own(error);
  try {
    await inject(target, 'NODE_SEA_BLOB', blob, { sentinelFuse: sentinel });
  } finally {
    console.warn = warn;
    console.error = error;
  }
}
