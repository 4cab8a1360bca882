import { posix } from 'node:path';
import { debFiles } from '../debian/deb.ts';
import type { ArchivedEntry } from '../tar/read-tar.ts';
import { directory, type Entry, file, link, ROOT } from '../tar/entry.ts';

/** Folders at the root that are links into /usr since Debian 12; packages may still put files there. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64'] as const;

/** What no program reads in a container. Licences (`/usr/share/doc/PACKAGE/copyright`) stay. */
const USELESS = [
  /^usr\/share\/(man|info|locale|lintian|bug|bash-completion|fish|zsh|gdb|menu|pixmaps|applications|initramfs-tools|xml)(\/|$)/,
  /^usr\/share\/doc\/[^/]+\/(?!copyright$)/,
  /^usr\/share\/zoneinfo\/(posix|right)(\/|$)/,
  /^usr\/share\/doc-base(\/|$)/,
  /^usr\/lib\/(systemd|udev|tmpfiles\.d|sysusers\.d|init)(\/|$)/,
  /^usr\/lib\/[^/]+\/(gconv|perl-base|audit)(\/|$)/,
  /^etc\/(init\.d|cron\.[a-z]+|apt|dpkg|logrotate\.d|pam\.d|default|skel|update-motd\.d)(\/|$)/,
];

/** Links that packages make when they are configured, which does not happen here. */
const ALTERNATIVES: Readonly<Record<string, string>> = {
  'usr/sbin/iptables': 'iptables-nft',
  'usr/sbin/iptables-save': 'iptables-nft-save',
  'usr/sbin/iptables-restore': 'iptables-nft-restore',
  'usr/sbin/ip6tables': 'ip6tables-nft',
  'usr/sbin/ip6tables-save': 'ip6tables-nft-save',
  'usr/sbin/ip6tables-restore': 'ip6tables-nft-restore',
  'usr/bin/awk': 'mawk',
};

/** A Debian package and, where not all are wanted, the paths of the files to take from it. */
export interface BasePackage {
  readonly name: string;
  readonly archive: Buffer;
  readonly files?: readonly string[] | undefined;
}

/** Bundle of all root certificates, at the place where Debian's libraries look for it. */
const CERTIFICATES = 'etc/ssl/certs/ca-certificates.crt';

/**
 * The files of Debian packages as one layer, as they are after an installation: /bin and its like lead into /usr, the root certificates are one bundle, and the
 * usual alternatives are chosen. Without `scripts`, programs that a shell or another interpreter would have to run are left out. Throws an Error that names package
 * and file for a wanted file that the package does not have, and for a hard link to one.
 */
export function baseLayer(packages: Iterable<BasePackage>, options: { readonly scripts: boolean }): Entry[] {
  const entries = new Map<string, Entry>();
  for (const { name, archive, files } of packages) {
    const missing = new Set(files);
    const contents = new Map<string, ArchivedEntry>();
    for (const archived of debFiles(archive)) {
      const path = mergedPath(archived.path);
      contents.set(path, archived);
      if (files !== undefined && !files.includes(path) && !/^usr\/share\/doc\/[^/]+(\/copyright)?$/.test(path))
        continue;
      if (path === '' || USELESS.some((pattern) => pattern.test(path))) continue;
      missing.delete(path);
      const entry = entryOf(path, archived.kind === 'hard link' ? linked(name, path, archived, contents) : archived);
      if (entry === undefined || (!options.scripts && isScript(entry))) continue;
      // A folder of one package is a folder of another; the first one's mode counts.
      if (entry.kind !== 'directory' || !entries.has(path)) entries.set(path, entry);
    }
    if (missing.size > 0) throw new Error(`the package ${name} has no ${[...missing].join(', ')}`);
  }
  for (const [path, target] of Object.entries(ALTERNATIVES)) {
    const folder = path.slice(0, path.lastIndexOf('/'));
    if (entries.has(`${folder}/${target}`)) entries.set(path, link(path, target));
  }
  if (entries.has('usr/bin/dash')) entries.set('usr/bin/sh', link('usr/bin/sh', 'dash'));
  const certificates = [...entries.values()]
    .filter((entry) => entry.kind === 'file' && /^usr\/share\/ca-certificates\/.*\.crt$/.test(entry.path))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  if (certificates.length > 0) {
    entries.set(
      CERTIFICATES,
      file(
        CERTIFICATES,
        certificates.map((entry) => (entry.kind === 'file' ? entry.data.toString('latin1') : '')).join(''),
      ),
    );
    for (const { path } of certificates) entries.delete(path);
  }
  return withoutEmptyFolders([...entries.values()]);
}

/** The file that a hard link is another name of; archives have it before the link, wanted itself or not. */
function linked(
  name: string,
  path: string,
  link: ArchivedEntry,
  contents: ReadonlyMap<string, ArchivedEntry>,
): ArchivedEntry {
  const found = contents.get(mergedPath(link.target));
  if (found?.kind !== 'file')
    throw new Error(`${path} in the package ${name} is a hard link to ${link.target}, which is no file`);
  return found;
}

/** The links and folders every root file system begins with. */
export function rootFolders(): Entry[] {
  return [
    ...MERGED.map((name) => link(name, `usr/${name}`)),
    ...MERGED.map((name) => directory(`usr/${name}`)),
    directory('tmp', 0o1777),
    directory('var/tmp', 0o1777),
    directory('run'),
    link('var/run', '/run'),
    directory('root', 0o700),
    directory('proc'),
    directory('sys'),
    directory('dev'),
    directory('home'),
  ];
}

/** `./bin/x` as `usr/bin/x`; '' for the root itself. */
function mergedPath(path: string): string {
  const plain = path.replace(/^(\.?\/)+/, '').replace(/\/+$/, '');
  if (plain === '.') return '';
  const first = plain.split('/', 1)[0] ?? '';
  return MERGED.some((name) => name === first) ? `usr/${plain}` : plain;
}

function entryOf(path: string, archived: ArchivedEntry): Entry | undefined {
  const owner = archived.user === 0 && archived.group === 0 ? ROOT : { user: archived.user, group: archived.group };
  switch (archived.kind) {
    case 'file':
      // Nothing in a container takes another user's rights.
      return { kind: 'file', path, mode: archived.mode & 0o1777, owner, data: archived.data };
    case 'directory':
      return { kind: 'directory', path, mode: archived.mode & 0o1777, owner };
    case 'link':
      return link(path, linkTarget(path, archived));
    case 'hard link':
    case 'other':
      return undefined;
  }
}

/** A link's target as it is after the move below /usr: unchanged where it still leads to the same file, from the root otherwise. */
function linkTarget(path: string, archived: ArchivedEntry): string {
  const from = (link: string): string => posix.resolve('/', posix.dirname(link), archived.target);
  const target = `/${mergedPath(from(archived.path))}`;
  return archived.target.startsWith('/') || from(path) !== target ? target : archived.target;
}

const isScript = (entry: Entry): boolean =>
  entry.kind === 'file' && (entry.mode & 0o111) !== 0 && entry.data.toString('latin1', 0, 2) === '#!';

/** Without folders that hold nothing because what they had was left out; /usr's own and those with special rights stay. */
function withoutEmptyFolders(entries: readonly Entry[]): Entry[] {
  const used = new Set<string>();
  for (const { kind, path } of entries) {
    if (kind === 'directory') continue;
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) used.add(path.slice(0, end));
  }
  return entries.filter(({ kind, path }) => kind !== 'directory' || used.has(path));
}
