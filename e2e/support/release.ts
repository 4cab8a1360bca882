import { createServer } from 'node:http';
import { createReadStream, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { run } from './shell.ts';

const root = join(import.meta.dirname, '..', '..');

/** What a user downloads, published at an address of this machine. */
export interface PublishedRelease {
  readonly url: string;
  /** Folder with the published files. */
  readonly folder: string;
  close(): void;
}

/** Makes a release for this machine's architecture and serves it on loopback. */
export async function publishRelease(): Promise<PublishedRelease> {
  const folder = mkdtempSync(join(tmpdir(), 'istio-ts-release-'));
  const server = createServer((request, response) => {
    const file = join(folder, normalize(decodeURIComponent(request.url ?? '/')));
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-length': statSync(file).size });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => {
    server.close();
    server.closeAllConnections();
    rmSync(folder, { recursive: true, force: true });
  };
  const arch = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const made = await run(
    process.execPath,
    [join(root, 'scripts', 'release.mjs'), '--arch', arch, '--out', folder, '--base-url', url],
    { timeoutMs: 600_000 },
  );
  if (made.exitCode !== 0) {
    close();
    throw new Error(`npm run release failed:\n${made.stdout}${made.stderr}`);
  }
  return { url, folder, close };
}
