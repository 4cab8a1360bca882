import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';

/** Thrown when a connection that should have been redirected was not. */
export class ProbeError extends Error {
  /** By this code of the init container the repair of pods recognises what is wrong. */
  readonly exitCode = 126;
  constructor(message: string) {
    super(message);
    this.name = 'ProbeError';
  }
}

export interface ProbeOptions {
  /** An address of the pod that is not loopback. */
  readonly podIp: string;
  /** Port nobody listens on (`--iptables-probe-port`). */
  readonly probePort: number;
  /** Envoy's inbound port, which must be free. */
  readonly inboundPort: number;
  readonly timeoutMs: number;
  /** The proxy's user: only its connections over loopback are sent to the inbound port. */
  readonly uid: number;
  readonly gid: number;
}

/**
 * Checks that interception works, by a connection of the proxy's user to the pod's own address: the rules send it to the
 * inbound port, where this function listens. Gives up the process's privileges for good if it has any.
 * Raises {@link ProbeError}.
 */
export async function probeInterception(options: ProbeOptions): Promise<void> {
  if (process.getuid?.() === 0) {
    process.setgid?.(options.gid);
    process.setuid?.(options.uid);
  }
  const greeting = `istio-iptables-probe-${process.pid}`;
  const server = await listen(options.inboundPort, greeting);
  try {
    const answer = await readGreeting(options);
    if (answer !== greeting)
      throw new ProbeError(
        `a connection to ${options.podIp}:${options.probePort} reached something else than port ${options.inboundPort}`,
      );
  } finally {
    server.close();
  }
}

function listen(port: number, greeting: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.end(greeting);
    });
    server.once('error', (error) =>
      reject(new ProbeError(`cannot listen on port ${port} to check the rules: ${error.message}`)),
    );
    server.listen(port, () => resolve(server));
  });
}

function readGreeting(options: ProbeOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const fail = (reason: string): void =>
      reject(
        new ProbeError(
          `inbound traffic is not redirected: connection to ${options.podIp}:${options.probePort} failed (${reason}); apply the rules with pilot-agent istio-iptables or the CNI plugin`,
        ),
      );
    const socket = connect({ host: options.podIp, port: options.probePort, timeout: options.timeoutMs });
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.length > 1024) socket.destroy();
    });
    socket.on('end', () => resolve(text));
    socket.on('timeout', () => {
      socket.destroy();
      fail('no answer in time');
    });
    socket.on('error', (error) => fail(error.message));
  });
}
