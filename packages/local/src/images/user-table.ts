import { load } from 'js-yaml';
import type { Image, ImageFile, ImageName } from './image.ts';
import { matchesPattern } from './image.ts';

/** An entry of the user's `images.yaml`. */
export interface UserImage {
  readonly match: string;
  readonly changes: Partial<Image>;
}

/** A mistake in `images.yaml`; the message names the field. */
export class ImageTableError extends Error {
  readonly field: string;
  constructor(file: string, field: string, problem: string) {
    super(`${file}: ${field}: ${problem}`);
    this.name = 'ImageTableError';
    this.field = field;
  }
}

/**
 * Reads `images.yaml`: `images` is a list of `{match, entrypoint, cmd, env, user, group, workingDir, files}`, where `match` is an image name
 * without tag, with `*` for any characters, and `files` are `{path, content, mode}`, `{path, source}` (a file or directory of this machine) or
 * `{path, link}`. Throws `ImageTableError`.
 */
export function parseUserTable(text: string, file: string): UserImage[] {
  let document: unknown;
  try {
    document = load(text) ?? {};
  } catch (error) {
    throw new ImageTableError(file, 'document', error instanceof Error ? error.message : String(error));
  }
  const list = record(document, file, 'document').images ?? [];
  if (!Array.isArray(list)) throw new ImageTableError(file, 'images', 'expected a list');
  return list.map((item: unknown, index) => {
    const at = `images[${index}]`;
    const entry = record(item, file, at);
    const match = entry.match;
    if (typeof match !== 'string' || match === '') {
      throw new ImageTableError(file, `${at}.match`, 'expected an image name such as example.com/shop/*');
    }
    const user = number(entry.user, file, `${at}.user`);
    return {
      match,
      changes: {
        entrypoint: strings(entry.entrypoint, file, `${at}.entrypoint`),
        cmd: strings(entry.cmd, file, `${at}.cmd`),
        env: Object.fromEntries(
          Object.entries(record(entry.env ?? {}, file, `${at}.env`)).map(([name, value]) => [name, String(value)]),
        ),
        user: user ?? 0,
        group: number(entry.group, file, `${at}.group`) ?? user ?? 0,
        workingDir: typeof entry.workingDir === 'string' ? entry.workingDir : '/',
        files: files(entry.files, file, `${at}.files`),
      },
    };
  });
}

/** The first entry that fits. */
export function findUserImage(table: readonly UserImage[], name: ImageName): UserImage | undefined {
  return table.find(
    ({ match }) =>
      matchesPattern(match, name.repository) ||
      matchesPattern(match, `${name.repository}:${name.tag}`) ||
      matchesPattern(match, name.base) ||
      matchesPattern(match, `${name.base}:${name.tag}`),
  );
}

function record(value: unknown, file: string, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ImageTableError(file, field, 'expected a mapping');
  }
  return Object.fromEntries(Object.entries(value));
}

function strings(value: unknown, file: string, field: string): string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new ImageTableError(file, field, 'expected a list of words');
  return value.map(String);
}

function number(value: unknown, file: string, field: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) {
    throw new ImageTableError(file, field, 'expected a number such as 1000');
  }
  return value;
}

function files(value: unknown, file: string, field: string): ImageFile[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new ImageTableError(file, field, 'expected a list');
  return value.map((item: unknown, index): ImageFile => {
    const at = `${field}[${index}]`;
    const entry = record(item, file, at);
    const { path, content, source, link } = entry;
    if (typeof path !== 'string' || !path.startsWith('/') || path.split('/').includes('..')) {
      throw new ImageTableError(file, `${at}.path`, 'expected an absolute path');
    }
    if (typeof source === 'string') return { kind: 'host', path, source };
    if (typeof link === 'string') return { kind: 'link', path, target: link };
    if (typeof content !== 'string') throw new ImageTableError(file, at, 'expected content, source or link');
    return { kind: 'text', path, text: content, mode: number(entry.mode, file, `${at}.mode`) ?? 0o755 };
  });
}
