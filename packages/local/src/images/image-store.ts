import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { builtInImage, builtInNames, customImage, type Machine } from './catalog.ts';
import { type Image, type ImageFile, parseImageName } from './image.ts';
import { findUserImage, parseUserTable, type UserImage } from './user-table.ts';

/** An image name that leads to no program here; the message is for the pod's status. */
export class UnknownImageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnknownImageError';
  }
}

/** An image laid out on disk, ready to be the lower layer of a container's file system. */
export interface PreparedImage {
  readonly image: Image;
  /** `istio-local://sha256:...` */
  readonly id: string;
  /** Lower directory for `/`. */
  readonly root: string;
  /** Lower directory for `/usr`, above the host's own. */
  readonly usr: string;
  /** Files and directories of the host to be bound read-only. */
  readonly binds: readonly { readonly source: string; readonly path: string }[];
}

export interface ImageStore {
  /** Throws `UnknownImageError`. */
  prepare(name: string): Promise<PreparedImage>;
}

/**
 * Resolves image names, first by the user's `images.yaml` (read again when it changes), then by the built-in table, and lays the
 * images out below `directory`.
 */
export function createImageStore(directory: string, tableFile: string, machine: Machine): ImageStore {
  const prepared = new Map<string, Promise<PreparedImage>>();
  let table: { readonly modified: number; readonly entries: readonly UserImage[] } = { modified: 0, entries: [] };
  const userTable = () => {
    if (!existsSync(tableFile)) return [];
    const modified = statSync(tableFile).mtimeMs;
    if (modified !== table.modified) {
      table = { modified, entries: parseUserTable(readFileSync(tableFile, 'utf8'), tableFile) };
    }
    return table.entries;
  };
  return {
    async prepare(name) {
      const parsed = parseImageName(name);
      let entries: readonly UserImage[];
      try {
        entries = userTable();
      } catch (error) {
        throw new UnknownImageError(error instanceof Error ? error.message : String(error));
      }
      const own = findUserImage(entries, parsed);
      const image = own === undefined ? builtInImage(parsed, machine) : customImage(machine, own.match, own.changes);
      if (image === undefined) {
        throw new UnknownImageError(
          `image ${name} is unknown to this local cluster; known: ${[...new Set([...entries.map((entry) => entry.match), ...builtInNames()])].join(', ')}. Add an entry to ${tableFile} to run other programs`,
        );
      }
      if (typeof image === 'string') throw new UnknownImageError(`image ${name} cannot run here: ${image}`);
      const digest = createHash('sha256').update(JSON.stringify(image)).digest('hex');
      let result = prepared.get(digest);
      if (result === undefined) {
        result = layOut(image, digest, join(directory, digest.slice(0, 24)));
        prepared.set(digest, result);
        result.catch(() => prepared.delete(digest));
      }
      return result;
    },
  };
}

const TOP_LINKS = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'];

async function layOut(image: Image, digest: string, directory: string): Promise<PreparedImage> {
  const root = join(directory, 'root');
  const usr = join(directory, 'usr');
  const binds: { source: string; path: string }[] = [];
  const complete = join(directory, 'complete');
  const fresh = !existsSync(complete);
  if (fresh) await fs.rm(directory, { recursive: true, force: true });
  if (fresh) await base(root, usr);
  for (const name of TOP_LINKS) {
    // Where the host keeps /bin apart from /usr/bin, its directory itself is shown.
    const stat = await fs.lstat(`/${name}`).catch(() => undefined);
    if (stat === undefined) continue;
    if (stat.isSymbolicLink()) {
      if (fresh) await fs.symlink(await fs.readlink(`/${name}`), join(root, name));
    } else {
      if (fresh) await fs.mkdir(join(root, name), { recursive: true });
      binds.push({ source: `/${name}`, path: `/${name}` });
    }
  }
  for (const path of ['/etc/ssl', '/etc/pki', '/etc/ca-certificates', '/etc/alternatives']) {
    if (!existsSync(path)) continue;
    if (fresh) await fs.mkdir(join(root, path), { recursive: true });
    binds.push({ source: path, path });
  }
  for (const file of image.files) {
    const source = await place(file, root, usr, fresh);
    if (source !== undefined) binds.push({ source, path: file.path });
  }
  if (fresh) await fs.writeFile(complete, `${image.title}\n`);
  return { image, id: `istio-local://sha256:${digest}`, root, usr, binds };
}

/** Writes a file into the layers; returns the host's file when it is to be bound instead. */
async function place(file: ImageFile, root: string, usr: string, fresh: boolean): Promise<string | undefined> {
  const path = target(file.path, root, usr);
  if (fresh) await fs.mkdir(dirname(path), { recursive: true });
  switch (file.kind) {
    case 'text':
      if (fresh) {
        await fs.writeFile(path, file.text);
        await fs.chmod(path, file.mode);
      }
      return undefined;
    case 'link':
      if (fresh) await fs.symlink(file.target, path);
      return undefined;
    case 'directory':
      if (fresh) {
        await fs.mkdir(path, { recursive: true });
        await fs.chmod(path, file.mode);
      }
      return undefined;
    case 'host': {
      const stat = await fs.stat(file.source).catch(() => undefined);
      if (stat === undefined)
        throw new UnknownImageError(`${file.source} (to be ${file.path} in the image) does not exist`);
      if (fresh) {
        if (stat.isDirectory()) await fs.mkdir(path, { recursive: true });
        else await fs.writeFile(path, '');
      }
      return file.source;
    }
  }
}

function target(path: string, root: string, usr: string): string {
  if (path.startsWith('/usr/')) return join(usr, path.slice('/usr/'.length));
  const match = /^\/(bin|sbin|lib|lib64)\/(.+)$/.exec(path);
  return match === null ? join(root, path) : join(usr, match[1] ?? '', match[2] ?? '');
}

async function base(root: string, usr: string): Promise<void> {
  await fs.mkdir(usr, { recursive: true });
  const directories: readonly (readonly [string, number])[] = [
    ['usr', 0o755],
    ['etc', 0o755],
    ['proc', 0o555],
    ['sys', 0o555],
    ['dev', 0o755],
    ['tmp', 0o1777],
    ['run', 0o1777],
    ['root', 0o700],
    ['home', 0o755],
    ['home/istio-proxy', 0o777],
    ['opt', 0o755],
    ['mnt', 0o755],
    ['srv', 0o755],
    ['var', 0o755],
    ['var/lib', 0o755],
    ['var/log', 0o777],
    ['var/cache', 0o755],
    ['var/tmp', 0o1777],
  ];
  for (const [path, mode] of directories) {
    await fs.mkdir(join(root, path), { recursive: true });
    await fs.chmod(join(root, path), mode);
  }
  // Relative, as they are also followed from outside while a container is being put together.
  await fs.symlink('../run', join(root, 'var/run'));
  await fs.symlink('../proc/self/mounts', join(root, 'etc/mtab'));
  const text: Record<string, string> = {
    passwd: `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
curl_user:x:100:101:curl:/home/curl_user:/bin/sh
redis:x:999:999:redis:/data:/bin/sh
app:x:1000:1000:app:/app:/bin/sh
istio-proxy:x:1337:1337:istio-proxy:/home/istio-proxy:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`,
    group: `root:x:0:
daemon:x:1:
tty:x:5:
curl_group:x:101:
redis:x:999:
app:x:1000:
istio-proxy:x:1337:
nogroup:x:65534:
`,
    'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n',
  };
  for (const [name, content] of Object.entries(text)) await fs.writeFile(join(root, 'etc', name), content);
  for (const name of [
    'ld.so.cache',
    'ld.so.conf',
    'protocols',
    'services',
    'os-release',
    'xtables.conf',
    'ethertypes',
  ]) {
    await fs.copyFile(join('/etc', name), join(root, 'etc', name)).catch(() => {});
  }
}
