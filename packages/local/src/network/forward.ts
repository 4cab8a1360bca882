import { connect, type Socket } from 'node:net';

/**
 * Joins a connection that was accepted on the host with a new one to a service inside the cluster. Each direction ends on its own
 * (half-close), each waits for the other's buffer, and a reset of one side resets the other.
 */
export function forwardTo(client: Socket, target: { readonly host: string; readonly port: number }): void {
  const upstream = connect({ ...target, allowHalfOpen: true });
  client.setNoDelay(true);
  upstream.setNoDelay(true);
  client.setKeepAlive(true, 60_000);
  client.pause();
  upstream.on('connect', () => {
    client.pipe(upstream);
    upstream.pipe(client);
  });
  const reset = (socket: Socket) => {
    if (socket.destroyed) return;
    if (socket.pending) socket.destroy();
    else socket.resetAndDestroy();
  };
  upstream.on('error', () => reset(client));
  client.on('error', () => reset(upstream));
  client.on('close', (failed) => {
    if (failed || !upstream.writableEnded) upstream.destroy();
  });
  upstream.on('close', (failed) => {
    if (failed || !client.writableEnded) client.destroy();
  });
}
