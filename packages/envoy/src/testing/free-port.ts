import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the ports that Linux gives to outgoing connections (from 32768) and those of Kubernetes' nodes (from 30000): a connection of anybody could take one of
 * them between the question and the program that it is meant for.
 */
const range = [12_000, 30_000] as const;

/** A port of 127.0.0.1 that is free now, for a program that cannot choose one by itself. Throws when there is none. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    const port = randomInt(...range);
    if (await isFree(port)) return port;
  }
  throw new Error(`there is no free port from ${range[0]} to ${range[1]}`);
}

/** Several of them, each another one. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found = new Set<number>();
  while (found.size < count) found.add(await freePort());
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
