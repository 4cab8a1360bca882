/** A file of an image. */
export type ImageFile =
  /** Written with this text; mode in octal notation as a number, for example 0o755. */
  | { readonly kind: 'text'; readonly path: string; readonly text: string; readonly mode: number }
  /** A file or directory of the host, visible read-only at `path`. */
  | { readonly kind: 'host'; readonly path: string; readonly source: string }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number };

/** What a container gets from its image: the program, its defaults, and files besides the host's own `/usr`. */
export interface Image {
  /** How messages call it. */
  readonly title: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** User and group id the program runs as unless the pod says otherwise. */
  readonly user: number;
  readonly group: number;
  readonly workingDir: string;
  readonly files: readonly ImageFile[];
}

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Parts of an image name as containers write it. */
export interface ImageName {
  /** With registry, without tag and digest: `docker.io/istio/pilot`. */
  readonly repository: string;
  /** Last part of the repository: `pilot`. */
  readonly base: string;
  /** `latest` when the name has none. */
  readonly tag: string;
}

/** Splits `registry/path/name:tag@digest`. Throws an Error for a name that no registry would take. */
export function parseImageName(name: string): ImageName {
  const withoutDigest = name.split('@', 1)[0] ?? '';
  const slash = withoutDigest.lastIndexOf('/');
  const colon = withoutDigest.indexOf(':', slash + 1);
  const repository = colon < 0 ? withoutDigest : withoutDigest.slice(0, colon);
  const tag = colon < 0 ? 'latest' : withoutDigest.slice(colon + 1);
  const base = repository.slice(repository.lastIndexOf('/') + 1);
  if (
    name.length > 512 ||
    base === '' ||
    !/^[A-Za-z0-9][A-Za-z0-9._/:-]*$/.test(repository) ||
    !/^[\w.-]+$/.test(tag)
  ) {
    throw new Error(`"${name.slice(0, 200)}" is not an image name (expected REGISTRY/PATH/NAME:TAG)`);
  }
  return { repository, base, tag };
}

/** Whether `text` fulfils `pattern`, in which `*` stands for any characters. Linear: no regular expression of a user runs. */
export function matchesPattern(pattern: string, text: string): boolean {
  const parts = pattern.split('*');
  const first = parts[0] ?? '';
  if (parts.length === 1) return pattern === text;
  if (!text.startsWith(first)) return false;
  let position = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, position);
    if (found < 0) return false;
    position = found + part.length;
  }
  const last = parts.at(-1) ?? '';
  return text.length - last.length >= position && text.endsWith(last);
}
