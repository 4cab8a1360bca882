import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type KubeObject, parseManifests } from '@istio-ts/kube';
import { unreadable } from '../cli/failure.ts';
import { fitsPattern } from '../cli/wildcard.ts';
import { OperatorError } from './failure.ts';
import { type Difference, differences, shownValue } from './structural-diff.ts';
import type { Ui } from './ui.ts';

/** Which objects are meant: `Deployment:istio-system:*`. Empty parts and `*` match everything, `*` within a word any part of it. */
export interface ObjectPattern {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface ManifestDiffOptions {
  readonly ui: Ui;
  readonly paths: readonly [string, string];
  /** The paths are folders. */
  readonly directory: boolean;
  readonly verbose: boolean;
  /** `KIND:NAMESPACE:NAME`, separated by commas; empty: everything, respectively nothing. */
  readonly select: string;
  readonly ignore: string;
  /** `OLD->NEW`, separated by commas. */
  readonly rename: string;
}

/** Raises OperatorError for what is no `KIND:NAMESPACE:NAME`. */
export function parsePattern(text: string, flag: string): ObjectPattern {
  const parts = text.trim().split(':');
  const [kind, namespace, name] = parts;
  if (parts.length !== 3 || kind === undefined || namespace === undefined || name === undefined)
    throw new OperatorError(`${flag} ${text}: expected KIND:NAMESPACE:NAME, for example Deployment:istio-system:*`);
  return { kind, namespace, name };
}

const patterns = (list: string, flag: string): readonly ObjectPattern[] =>
  list
    .split(',')
    .filter((each) => each.trim() !== '')
    .map((each) => parsePattern(each, flag));

/** A part of a pattern that is left out fits everything. */
const fits = (pattern: string, word: string): boolean => pattern === '' || fitsPattern(word, pattern);

export function matches(pattern: ObjectPattern, { kind, metadata }: KubeObject): boolean {
  return (
    fits(pattern.kind, kind) &&
    fits(pattern.namespace, metadata.namespace ?? '') &&
    fits(pattern.name, metadata.name ?? '')
  );
}

/** Values of Secrets stay out of terminals and logs; which of them differ is enough. */
const isSecret = ({ apiVersion, kind }: KubeObject): boolean => apiVersion === 'v1' && kind === 'Secret';
const valuesOf = ({ before, after }: Difference): string => `: ${shownValue(before)} -> ${shownValue(after)}`;

const keyOf = ({ kind, metadata }: KubeObject): string =>
  [kind, metadata.namespace ?? '', metadata.name ?? ''].join(':');
const part = (wanted: string, present: string): string => (wanted === '' || wanted === '*' ? present : wanted);

function filesOf(path: string): readonly string[] {
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const at = join(path, entry.name);
      if (entry.isDirectory()) return filesOf(at);
      return entry.isFile() && /\.(ya?ml|json)$/.test(entry.name) ? [at] : [];
    });
}

function readObjects(path: string, directory: boolean): ReadonlyMap<string, KubeObject> {
  let files: readonly string[];
  try {
    const isFolder = path !== '-' && statSync(path).isDirectory();
    if (directory && !isFolder) throw new Error('-r compares folders; this is a file');
    if (!directory && isFolder) throw new Error('this is a folder: compare folders with -r');
    files = isFolder ? filesOf(path) : [path];
    const objects = files.flatMap((file) => parseManifests(readFileSync(file === '-' ? 0 : file, 'utf8'), file));
    return new Map(objects.map((object) => [keyOf(object), object]));
  } catch (error) {
    throw new OperatorError(`manifest diff ${path}: ${unreadable(error)}`);
  }
}

/** `istioctl manifest diff`: ends with 1 when the manifests differ. Raises OperatorError for what cannot be read. */
export async function runManifestDiff(options: ManifestDiffOptions): Promise<number> {
  const select = patterns(options.select, '--select');
  const ignore = patterns(options.ignore, '--ignore');
  const renames = options.rename
    .split(',')
    .filter((each) => each.trim() !== '')
    .map((each) => {
      const [from, to, ...more] = each.split('->');
      if (from === undefined || to === undefined || more.length > 0)
        throw new OperatorError(`--rename ${each}: expected OLD->NEW, for example Service:*:istiod->Service:*:pilot`);
      return { from: parsePattern(from, '--rename'), to: parsePattern(to, '--rename') };
    });
  const renamed = (object: KubeObject): KubeObject => {
    const rename = renames.find(({ from }) => matches(from, object));
    if (rename === undefined) return object;
    const { kind, namespace, name } = rename.to;
    const { metadata } = object;
    return {
      ...object,
      kind: part(kind, object.kind),
      metadata: {
        ...metadata,
        name: part(name, metadata.name ?? ''),
        ...(metadata.namespace !== undefined && { namespace: part(namespace, metadata.namespace) }),
      },
    };
  };
  const wanted = (object: KubeObject) =>
    (select.length === 0 || select.some((pattern) => matches(pattern, object))) &&
    !ignore.some((pattern) => matches(pattern, object));
  // Only what stands on the left has old names.
  const [a, b] = options.paths.map((path, side) => {
    const objects = [...readObjects(path, options.directory).values()];
    const named = side === 0 ? objects.map(renamed) : objects;
    return new Map(named.filter(wanted).map((object) => [keyOf(object), object]));
  });
  if (a === undefined || b === undefined) throw new OperatorError('manifest diff compares two manifests');
  const { ui } = options;
  let differing = 0;
  for (const key of [...new Set([...a.keys(), ...b.keys()])].sort()) {
    const [before, after] = [a.get(key), b.get(key)];
    if (before === undefined || after === undefined) {
      differing++;
      ui.line(`${key} is only in ${before === undefined ? options.paths[1] : options.paths[0]}`);
      continue;
    }
    const found = differences(before, after);
    if (found.length === 0) {
      if (options.verbose) ui.line(`${key} is the same`);
      continue;
    }
    differing++;
    ui.line(`${key} differs:`);
    for (const each of found) ui.line(`  ${each.path}${isSecret(before) ? ' (not shown)' : valuesOf(each)}`);
  }
  if (differing === 0) ui.line(`The manifests are the same (${a.size} objects).`);
  else ui.line(`${differing} objects differ.`);
  return differing === 0 ? 0 : 1;
}
