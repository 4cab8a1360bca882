import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build } from 'esbuild';
import postject from 'postject';
import type { Executable } from '../programs.ts';
import { librariesIn } from './libraries.ts';
import type { ForeignProgram, PackedProgram } from './sources.ts';
import { stripElf } from '../layers/strip-elf.ts';

/** Marks in Node's binary where it looks whether a program was added. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/**
 * A program bundled into Node's binary (Node's "single executable applications"). Variables that change how Node runs have no effect on it. `node` may be of any
 * architecture; nothing of it is run. Throws an Error when the source does not compile or contains a library without licence.
 */
export async function singleExecutable(
  root: string,
  executable: Executable,
  node: ForeignProgram,
): Promise<PackedProgram> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [executable.source],
    outfile: 'program.cjs',
    write: false,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    minify: true,
    // Whole licences are beside the program.
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
    define: { 'import.meta.url': '__url', 'import.meta.dirname': '__dirname' },
    banner: { js: "const __url=require('node:url').pathToFileURL(__filename).href;" },
  });
  const program = outputFiles[0]?.contents;
  if (program === undefined) throw new Error(`${executable.source} gave no program`);
  return {
    inputs: [
      node.sha256,
      createHash('sha256').update(program).digest('hex'),
      JSON.stringify(seaSettings(executable.flags)),
      // What writes the program's form, and what puts it into the binary.
      process.version,
      `postject ${postjectVersion()}`,
    ],
    build: () => inject(program, executable.flags, stripElf(node.read())),
    libraries: librariesIn(root, Object.keys(metafile.inputs)),
  };
}

/** Settings of Node's single executable applications. */
const seaSettings = (flags: readonly string[]) => ({
  main: 'program.cjs',
  output: 'program.blob',
  disableExperimentalSEAWarning: true,
  execArgv: flags,
  execArgvExtension: 'none',
});

const postjectVersion = (): string =>
  (createRequire(import.meta.url)('postject/package.json') as { readonly version: string }).version;

async function inject(program: Uint8Array, flags: readonly string[], node: Buffer): Promise<Buffer> {
  const work = mkdtempSync(join(tmpdir(), 'istio-images-'));
  try {
    writeFileSync(join(work, 'program.cjs'), program);
    writeFileSync(join(work, 'sea.json'), JSON.stringify(seaSettings(flags)));
    const { status, stderr } = spawnSync(process.execPath, ['--experimental-sea-config', 'sea.json'], {
      cwd: work,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`Node cannot pack the program: ${stderr.trim()}`);
    const target = join(work, 'node');
    writeFileSync(target, node);
    await withoutElfWarnings(() =>
      postject.inject(target, 'NODE_SEA_BLOB', readFileSync(join(work, 'program.blob')), { sentinelFuse: FUSE }),
    );
    return readFileSync(target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** postject's ELF library complains about sections, which a stripped program has none of; nothing is wrong with the result. */
async function withoutElfWarnings(run: () => Promise<void>): Promise<void> {
  const { warn, error } = console;
  const quiet =
    (print: typeof warn): typeof warn =>
    (text: unknown, ...more: unknown[]) => {
      if (!String(text).startsWith('warning:')) print(text, ...more);
    };
  console.warn = quiet(warn);
  console.error = quiet(error);
  try {
    await run();
  } finally {
    console.warn = warn;
    console.error = error;
  }
}
