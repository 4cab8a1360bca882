import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { connect as connectPlain, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { checkServerIdentity, connect as connectTls } from 'node:tls';
import type { Logger } from '../log.ts';

/** What a connection to the control plane is made with; read anew for each, so that rotated certificates are used. */
export interface DiscoveryCredentials {
  readonly key: string;
  readonly chain: string;
  /** Trust anchors in PEM; undefined for the machine's own. */
  readonly root: string | undefined;
}

export interface DiscoverySocketOptions {
  readonly socketFile: string;
  readonly host: string;
  readonly port: number;
  /** Name that the control plane's certificate must carry. */
  readonly serverName: string;
  /** Undefined while there is no certificate; `plain` where the network itself is trusted (port 15010). */
  readonly credentials: () => DiscoveryCredentials | 'plain' | undefined;
  readonly log: Logger;
}

/** How long a connection to the control plane may take. */
const CONNECT_MS = 10_000;

/**
 * A Unix socket that leads to the control plane. gRPC libraries cannot authenticate with a certificate of the mesh before they have their
 * configuration, so they talk in plain text to this socket, and the agent to istiod with mutual TLS. Rejects when the socket cannot be made.
 */
export async function startDiscoverySocket(options: DiscoverySocketOptions): Promise<{ close(): Promise<void> }> {
  const open = new Set<Socket>();
  const server: Server = createServer((client) => {
    open.add(client);
    client.on('close', () => open.delete(client));
    client.on('error', () => undefined);
    join(client, options);
  });
  mkdirSync(dirname(options.socketFile), { recursive: true });
  rmSync(options.socketFile, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.socketFile, resolve);
  });
  // The application is another user, of the agent's group or of none.
  chmodSync(options.socketFile, 0o666);
  options.log.info('the way to the control plane is open', { socket: options.socketFile });
  return {
    close: () =>
      new Promise((resolve) => {
        for (const client of open) client.destroy();
        server.close(() => resolve());
      }),
  };
}

function join(client: Socket, options: DiscoverySocketOptions): void {
  const { host, port, serverName, log } = options;
  const credentials = options.credentials();
  if (credentials === undefined) {
    log.warn('the control plane is asked for, but there is no workload certificate yet');
    client.destroy();
    return;
  }
  const upstream =
    credentials === 'plain'
      ? connectPlain({ host, port })
      : connectTls({
          host,
          port,
          ALPNProtocols: ['h2'],
          minVersion: 'TLSv1.2',
          key: credentials.key,
          cert: credentials.chain,
          ...(credentials.root === undefined ? {} : { ca: credentials.root }),
          ...(/^[\d.]+$|:/.test(serverName) ? {} : { servername: serverName }),
          checkServerIdentity: (_, certificate) => checkServerIdentity(serverName, certificate),
        });
  const timer = setTimeout(() => upstream.destroy(new Error(`no connection after ${CONNECT_MS} ms`)), CONNECT_MS);
  upstream.once(credentials === 'plain' ? 'connect' : 'secureConnect', () => {
    clearTimeout(timer);
    client.pipe(upstream).pipe(client);
  });
  upstream.on('error', (error) => log.warn('the control plane cannot be reached', { error: error.message }));
  upstream.on('close', () => {
    clearTimeout(timer);
    client.destroy();
  });
  client.on('close', () => upstream.destroy());
}
