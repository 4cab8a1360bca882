import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Launcher, NODE_PATH, type ProgramImage, PROGRAMS_FOLDER } from '../programs.ts';
import { directory, type Entry, file, link } from '../tar/entry.ts';

/** Bundles that a program starts or copies, beside those it imports. */
const COMPANIONS: Readonly<Record<string, readonly string[]>> = {
  'pilot-agent': ['pilot-agent-certificate'],
};

/** Folders and files of `dist/data` by the bundles that read them. Descriptors of messages are found by their mention. */
const DATA: Readonly<Record<string, readonly string[]>> = {
  istioctl: ['manifests'],
  operator: ['manifests'],
  console: ['console', 'dashboards'],
};

const DESCRIPTORS = 'descriptors.binpb';

/** Files of an image, and the bundles among them by their names below `dist/bin`. */
export interface ProgramFiles {
  readonly entries: readonly Entry[];
  readonly bundles: readonly string[];
}

/**
 * What an image has of this project: the bundles its commands need with their data, and the commands. A command is the bundle itself, whose first line names
 * Node and its flags, so it starts without a shell. Throws an Error when a bundle is missing in `dist`.
 */
export function programFiles(image: ProgramImage, tools: readonly Launcher[], dist: string): ProgramFiles {
  const root = PROGRAMS_FOLDER.slice(1);
  const entries: Entry[] = [];
  const bundles = new Map<string, string>();
  const data = new Set<string>();
  const need = (name: string): void => {
    if (bundles.has(name)) return;
    const path = join(dist, 'bin', `${name}.mjs`);
    if (!existsSync(path)) throw new Error(`${path} is missing: build the programs first (npm run build)`);
    const text = readFileSync(path, 'utf8');
    bundles.set(name, text);
    if (text.includes(DESCRIPTORS)) data.add(DESCRIPTORS);
    for (const part of DATA[name] ?? []) data.add(part);
    for (const companion of COMPANIONS[name] ?? []) need(companion);
    for (const [, chunk = ''] of text.matchAll(/["']\.\/([\w-]+-[0-9A-Z]{8})\.mjs["']/g)) need(chunk);
  };
  const launchers = [...image.launchers, ...tools];
  for (const { program } of launchers) need(program);
  if (bundles.size > 0) entries.push(file(`${root}/package.json`, '{"type":"module"}\n'));
  const direct = new Map<string, Launcher>();
  for (const launcher of launchers) {
    const bundle = `${PROGRAMS_FOLDER}/bin/${launcher.program}.mjs`;
    if (launcher.args === undefined) {
      direct.set(launcher.program, launcher);
      entries.push(link(imagePath(launcher.path), bundle));
    } else {
      const words = launcher.args.map((word) => JSON.stringify(word)).join(', ');
      const wrapper = `${root}/bin/${launcher.program}-${launcher.args.join('-')}.mjs`;
      entries.push(
        file(
          wrapper,
          `${interpreter(launcher.flags)}process.argv.splice(2, 0, ${words});\nawait import(${JSON.stringify(bundle)});\n`,
          0o755,
        ),
        link(imagePath(launcher.path), `/${wrapper}`),
      );
    }
  }
  for (const [name, text] of bundles) {
    const launcher = direct.get(name);
    // The source maps stay out: they are as large as the programs.
    const plain = text.replace(/\n\/\/# sourceMappingURL=\S*\s*$/, '\n');
    const path = `${root}/bin/${name}.mjs`;
    entries.push(
      launcher === undefined ? file(path, plain) : file(path, `${interpreter(launcher.flags)}${plain}`, 0o755),
    );
    const legal = join(dist, 'bin', `${name}.mjs.LEGAL.txt`);
    if (existsSync(legal)) entries.push(file(`${path}.LEGAL.txt`, readFileSync(legal)));
  }
  for (const part of [...data].sort()) entries.push(...filesOf(join(dist, 'data', part), `${root}/data/${part}`));
  for (const { path, mode } of image.directories ?? []) entries.push(directory(imagePath(path), mode));
  for (const { path, text } of image.scripts ?? []) entries.push(file(imagePath(path), text, 0o755));
  return { entries, bundles: [...bundles.keys()] };
}

/**
 * The line that names Node for a program. The kernel gives all that follows the interpreter's name as one argument (execve(2)); `env -S` splits it where there
 * are several flags.
 */
function interpreter(flags: readonly string[]): string {
  const words = [NODE_PATH, ...flags];
  const line = words.length <= 2 ? `#!${words.join(' ')}` : `#!/usr/bin/env -S ${words.join(' ')}`;
  // The kernel reads no more of the line than this (BINPRM_BUF_SIZE).
  if (line.length > 254) throw new Error(`too many flags of Node for the first line of a program: ${line}`);
  return `${line}\n`;
}

/** A path of an image as its layers have it: without the slash, and below /usr where the root only has links. */
export function imagePath(path: string): string {
  const plain = path.slice(1);
  return /^(bin|sbin|lib)\//.test(plain) ? `usr/${plain}` : plain;
}

function filesOf(source: string, target: string): Entry[] {
  if (!statSync(source).isDirectory()) return [file(target, readFileSync(source))];
  return readdirSync(source, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .filter((entry) => !entry.name.endsWith('.map'))
    .flatMap((entry) => filesOf(join(source, entry.name), `${target}/${entry.name}`));
}
