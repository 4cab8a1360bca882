import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@istio-ts/envoy/testing/free-port';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { openRespClient } from '../resp-client.ts';

/** A reason to skip a test that needs a Redis, false when there is one. */
export const withoutRedis: string | false =
  spawnSync('redis-server', ['--version']).status !== 0 && 'there is no redis-server on the PATH';

export interface RunningRedis {
  readonly port: number;
  stop(): Promise<void>;
}

/** A Redis of the test's own on this port, or any free one. */
export async function startRedis(at?: number, flags: readonly string[] = []): Promise<RunningRedis> {
  const port = at ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), 'redis-'));
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder, ...flags],
    { stdio: 'ignore' },
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await eventually('Redis answers', async () => {
    const client = openRespClient({ address: { kind: 'tcp', host: '127.0.0.1', port } });
    try {
      await client.pipeline([['PING']]);
      return true;
    } finally {
      client.close();
    }
  });
  return {
    port,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
