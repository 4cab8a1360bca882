import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '../whole-file.ts';
import type { LockedPackage } from './lock.ts';

/** Address of Debian's mirrors; each archive is a folder below it. */
export const DEFAULT_MIRROR = 'http://deb.debian.org';

/** How packages are fetched. */
export interface Mirror {
  /** Address that `debian` and `debian-security` are below; without a slash at its end. */
  readonly address: string;
  /** Folder that keeps what was fetched, by checksum. */
  readonly cache: string;
  readonly fetch: typeof fetch;
}

/** The mirror of this environment: `ISTIO_TS_DEBIAN_MIRROR`, else Debian's own. */
export const mirrorOf = (env: NodeJS.ProcessEnv, cache: string): Mirror => ({
  address: (env.ISTIO_TS_DEBIAN_MIRROR || DEFAULT_MIRROR).replace(/\/+$/, ''),
  cache,
  fetch,
});

export const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

/** Fetches one file of an archive that has at most `limit` bytes. Throws an Error with the address and the reason. */
export async function download(mirror: Mirror, url: string, limit: number): Promise<Buffer> {
  let answer: Response;
  try {
    answer = await mirror.fetch(url, { signal: AbortSignal.timeout(180_000) });
  } catch (error) {
    const { cause, message } = error as Error;
    throw new Error(`cannot fetch ${url}: ${cause instanceof Error ? cause.message : message}`);
  }
  if (!answer.ok) throw new Error(`cannot fetch ${url}: ${answer.status} ${answer.statusText}`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of answer.body ?? []) {
      size += chunk.length;
      if (size > limit) throw new Error(`it has more than the ${limit} bytes that are expected`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw new Error(`cannot fetch ${url}: ${(error as Error).message}`);
  }
  return Buffer.concat(chunks);
}

/**
 * A locked package's .deb: kept ones are used again, others come from the mirror, and where the mirror has dropped the version, from snapshot.debian.org.
 * Throws an Error when none has it or its size or checksum differs.
 */
export async function fetchPackage(mirror: Mirror, wanted: LockedPackage, snapshot: string): Promise<Buffer> {
  const kept = join(mirror.cache, `${wanted.sha256}.deb`);
  if (existsSync(kept)) {
    const data = readFileSync(kept);
    if (sha256(data) === wanted.sha256) return data;
  }
  const places = [
    `${mirror.address}/${wanted.archive}/${wanted.path}`,
    `http://snapshot.debian.org/archive/${wanted.archive}/${snapshot}/${wanted.path}`,
  ];
  const failures: string[] = [];
  for (const url of places) {
    try {
      const data = await download(mirror, url, wanted.size);
      if (data.length !== wanted.size)
        throw new Error(`${url} is not the locked file: it has ${data.length} bytes instead of ${wanted.size}`);
      const found = sha256(data);
      if (found !== wanted.sha256) throw new Error(`${url} is not the locked file: its SHA-256 is ${found}`);
      writeWhole(kept, [data]);
      return data;
    } catch (error) {
      failures.push((error as Error).message);
    }
  }
  throw new Error(`package ${wanted.name} ${wanted.version}: ${failures.join('; ')}`);
}
