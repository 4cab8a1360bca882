import { readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { type FileObject, type ParseProblem, readManifestText } from '@istio-ts/analysis/manifest-text';
import { CliError, unreadable } from '../cli/failure.ts';

/** Files that are read in a folder. */
const manifestExtensions = new Set(['.yaml', '.yml', '.json']);

/** A manifest that was read. */
export interface ManifestFile {
  /** As the user wrote it; `stdin` for standard input. */
  readonly file: string;
  readonly objects: readonly FileObject[];
  readonly problems: readonly ParseProblem[];
}

/**
 * Reads files, folders (with all below them: YAML and JSON, in order of their names) and standard input (`-`). Raises CliError for a path that cannot be read.
 */
export function readManifestFiles(paths: readonly string[], stdin: () => string): readonly ManifestFile[] {
  return paths.flatMap((path) => {
    if (path === '-') return [{ file: 'stdin', ...readManifestText(stdin(), 'stdin') }];
    const files = filesAt(path);
    return files.flatMap((file) => {
      const text = read(file);
      // A folder may hold other things too (package.json, values of a chart); whoever names a file means it.
      if (file !== path && !mayBeManifest(text)) return [];
      return [{ file, ...readManifestText(text, file) }];
    });
  });
}

/** Whether there is a `kind` anywhere. */
const mayBeManifest = (text: string): boolean =>
  /^[\s{,-]*"?kind"?\s*:/m.test(text) || /[{,]\s*"?kind"?\s*:/.test(text);

/** Standard input, all of it. */
export const standardInput = (): string => readFileSync(0, 'utf8');

function filesAt(path: string): readonly string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path, { withFileTypes: true })
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((entry) => {
        const below = join(path, entry.name);
        const folder = entry.isDirectory() || (entry.isSymbolicLink() && statSync(below).isDirectory());
        // A link to a folder may lead back to where it stands.
        if (folder) return entry.isSymbolicLink() ? [] : filesAt(below);
        return manifestExtensions.has(extname(entry.name)) ? [below] : [];
      });
  } catch (error) {
    throw new CliError(`${path}: ${unreadable(error)}`);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(`${file}: ${unreadable(error)}`);
  }
}
