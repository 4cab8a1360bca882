import type { AddressInfo, Server } from 'node:net';

/** What a test has to end, latest first. */
export type Cleanups = (() => unknown)[];

/** Has a server of HTTP or HTTPS listen on a free port, which it gives; the clean-up ends it together with the connections that it has. */
export async function listening(
  server: Server & { closeAllConnections(): void },
  cleanups: Cleanups,
  address = '127.0.0.1',
): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, address, () => {
      server.off('error', reject);
      resolve();
    });
  });
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
