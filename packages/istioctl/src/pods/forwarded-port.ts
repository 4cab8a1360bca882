import { type AddressInfo, createServer, type Server } from 'node:net';
import type { KubeClient } from '@istio-ts/kube';
import type { PodName } from '@istio-ts/envoy-dump/ask/pods';

/** A port of this machine whose connections end at a port of a pod. */
export interface ForwardedPort {
  readonly port: number;
  close(): void;
}

/**
 * Listens on this machine and hands each connection on to a port of a pod's loopback. `port` 0 takes any free one. Rejects when the port cannot be
 * opened; a connection that the pod does not take is reported to `onFailure` and closed.
 */
export async function forwardPort(
  client: KubeClient,
  pod: PodName,
  podPort: number,
  listen: { readonly host: string; readonly port: number },
  onFailure: (error: Error) => void,
): Promise<ForwardedPort> {
  const open = new Set<{ destroy(): void }>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    client.portForward(pod.namespace, pod.name, podPort).then(
      (remote) => {
        socket.pipe(remote).pipe(socket);
        remote.on('error', () => socket.destroy());
        socket.on('close', () => remote.destroy());
        if (socket.destroyed) remote.destroy();
      },
      (error: Error) => {
        onFailure(error);
        socket.destroy();
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
