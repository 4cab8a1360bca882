import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join, relative, sep } from 'node:path';
import { gzipSync } from 'node:zlib';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.txt': 'text/plain; charset=utf-8',
  '.woff2': 'font/woff2',
};

/** What browsers may do with our pages: only with what comes from this server; neither scripts nor styles stand in the page itself. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

interface StaticFile {
  readonly type: string;
  readonly etag: string;
  readonly plain: Buffer;
  /** Undefined where it would not be smaller. */
  readonly packed: Buffer | undefined;
}

/** The pages, read once at the start: what is not among them cannot be asked for, whatever the path says. */
export class StaticFiles {
  readonly #files: ReadonlyMap<string, StaticFile>;

  constructor(files: ReadonlyMap<string, Buffer>) {
    this.#files = new Map(
      [...files].map(([path, plain]) => {
        const packed = plain.length > 512 && !/\.(png|woff2)$/.test(path) ? gzipSync(plain, { level: 9 }) : undefined;
        return [
          path,
          {
            type: types[extname(path)] ?? 'application/octet-stream',
            etag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`,
            plain,
            packed: packed && packed.length < plain.length ? packed : undefined,
          },
        ];
      }),
    );
  }

  get size(): number {
    return this.#files.size;
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  /** Answers with a file. False: there is none of this path. */
  send(request: IncomingMessage, response: ServerResponse, path: string): boolean {
    const file = this.#files.get(path);
    if (!file) return false;
    const zipped = file.packed !== undefined && /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
    // A packed answer is another representation, so it has another tag.
    const etag = zipped ? `${file.etag.slice(0, -1)}-gz"` : file.etag;
    // Names of built files carry their content; the page itself must be asked for each time.
    const lasting = /[-.][0-9A-Za-z]{8,}\.(js|css|map|woff2|svg|png)$/.test(path);
    const headers: Record<string, string> = {
      ...securityHeaders,
      'content-type': file.type,
      etag,
      vary: 'Accept-Encoding',
      'cache-control': lasting ? 'public, max-age=31536000, immutable' : 'no-cache',
    };
    const known = String(request.headers['if-none-match'] ?? '')
      .split(',')
      .map((tag) => tag.trim().replace(/^W\//, ''));
    if (known.includes(etag) || known.includes('*')) {
      response.writeHead(304, headers).end();
      return true;
    }
    const bytes = zipped && file.packed ? file.packed : file.plain;
    response.writeHead(200, {
      ...headers,
      'content-length': String(bytes.length),
      ...(zipped && { 'content-encoding': 'gzip' }),
    });
    response.end(request.method === 'HEAD' ? undefined : bytes);
    return true;
  }
}

/** Reads a folder with all below it: by path from the folder, with slashes. Empty when there is no such folder. */
export function readFolder(folder: string): ReadonlyMap<string, Buffer> {
  const files = new Map<string, Buffer>();
  const walk = (at: string): void => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, entry.name);
      // Kubernetes mounts ConfigMaps as links to files in hidden folders.
      if (entry.name.startsWith('..')) continue;
      const info = statSync(path);
      if (info.isDirectory()) walk(path);
      else if (info.isFile()) files.set(relative(folder, path).split(sep).join('/'), readFileSync(path));
    }
  };
  try {
    walk(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return files;
}
