/** One entry of a layer's file system. Paths are relative to the root, without a slash at either end: `usr/bin/env`. */
export type Entry =
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly mode: number;
      readonly owner: Owner;
      readonly data: Buffer;
    }
  | { readonly kind: 'link'; readonly path: string; readonly target: string; readonly owner: Owner }
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number; readonly owner: Owner };

/** Numeric user and group of a file. */
export interface Owner {
  readonly user: number;
  readonly group: number;
}

export const ROOT: Owner = { user: 0, group: 0 };

export const file = (path: string, data: Buffer | string, mode = 0o644, owner: Owner = ROOT): Entry => ({
  kind: 'file',
  path,
  mode,
  owner,
  data: typeof data === 'string' ? Buffer.from(data) : data,
});

export const link = (path: string, target: string): Entry => ({ kind: 'link', path, target, owner: ROOT });

export const directory = (path: string, mode = 0o755, owner: Owner = ROOT): Entry => ({
  kind: 'directory',
  path,
  mode,
  owner,
});

/** The entries with every folder above them that they do not name themselves (mode 0755, root's), without doubles: the later one of a path counts. */
export function completeTree(entries: Iterable<Entry>): Entry[] {
  const byPath = new Map<string, Entry>();
  for (const entry of entries) {
    // A folder that a link took the place of stays a link: what is below it was moved to the link's target before.
    if (entry.kind === 'directory' && byPath.get(entry.path)?.kind === 'link') continue;
    byPath.set(entry.path, entry);
  }
  for (const path of [...byPath.keys()]) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const parent = path.slice(0, end);
      if (!byPath.has(parent)) byPath.set(parent, directory(parent));
    }
  }
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}
