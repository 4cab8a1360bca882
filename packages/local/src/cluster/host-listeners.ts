import { createServer, type Server, type Socket } from 'node:net';

/** Where the connections of the host's sockets go: one process at a time, which can be replaced by another one. */
export interface ConnectionTarget {
  /** Hands a connection over and keeps it open here. The target says with `taken` when it has it; until then nothing else is handed over. */
  send(place: { readonly host: string; readonly port: number }, connection: Socket): void;
}

interface Waiting {
  readonly listener: Listener;
  readonly connection: Socket;
}

interface Listener {
  readonly server: Server;
  readonly host: string;
  readonly port: number;
  /** The present target has asked for it. */
  claimed: boolean;
}

const MAX_WAITING = 1024;

/**
 * The listening sockets of the host. They outlive the process that serves their connections: while that one is being replaced, connections wait
 * instead of being refused.
 */
export class HostListeners {
  readonly #listeners = new Map<string, Listener>();
  readonly #waiting: Waiting[] = [];
  #target: ConnectionTarget | undefined;
  /** On its way to the target. */
  #handing: Waiting | undefined;

  /** Opens a socket, or gives the present target one that was opened for the last. Resolves with the port; rejects with the error of the system. */
  async listen(host: string, port: number): Promise<number> {
    const known = this.#listeners.get(`${host}:${port}`);
    if (known !== undefined && !known.claimed) {
      known.claimed = true;
      // Not before the target has heard that it has the socket.
      setImmediate(() => this.#pump());
      return port;
    }
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, exclusive: true }, resolve);
    });
    server.on('error', () => {});
    const address = server.address();
    const actual = typeof address === 'object' && address !== null ? address.port : port;
    const listener: Listener = { server, host, port: actual, claimed: true };
    this.#listeners.set(`${host}:${actual}`, listener);
    server.on('connection', (connection) => {
      connection.on('error', () => {});
      if (this.#waiting.length >= MAX_WAITING) {
        connection.destroy();
        return;
      }
      this.#waiting.push({ listener, connection });
      this.#pump();
    });
    return actual;
  }

  /** Closes a socket and ends the connections that nobody has taken yet. */
  close(host: string, port: number): void {
    const key = `${host}:${port}`;
    const listener = this.#listeners.get(key);
    if (listener === undefined) return;
    this.#listeners.delete(key);
    listener.server.close();
    for (const { connection } of this.#waiting.filter((entry) => entry.listener === listener)) connection.destroy();
    const others = this.#waiting.filter((entry) => entry.listener !== listener);
    this.#waiting.splice(0, this.#waiting.length, ...others);
  }

  /** From now on connections go to `target`, once it has asked for their sockets; undefined: they wait. */
  use(target: ConnectionTarget | undefined): void {
    this.#target = target;
    // A target that ended before it said "taken" has not read from the connection.
    if (this.#handing !== undefined) this.#waiting.unshift(this.#handing);
    this.#handing = undefined;
    for (const listener of this.#listeners.values()) listener.claimed = false;
  }

  /** The target has the connection that was handed over last. */
  taken(): void {
    // Closes this process' end only.
    this.#handing?.connection.destroy();
    this.#handing = undefined;
    this.#pump();
  }

  /** Closes the sockets that the present target has not asked for. */
  closeUnclaimed(): void {
    for (const { host, port, claimed } of [...this.#listeners.values()]) if (!claimed) this.close(host, port);
  }

  /** Closes everything. */
  closeAll(): void {
    this.use(undefined);
    this.closeUnclaimed();
  }

  #pump(): void {
    if (this.#handing !== undefined || this.#target === undefined) return;
    const index = this.#waiting.findIndex((entry) => entry.listener.claimed);
    const [next] = index < 0 ? [] : this.#waiting.splice(index, 1);
    if (next === undefined) return;
    if (next.connection.destroyed) {
      this.#pump();
      return;
    }
    this.#handing = next;
    this.#target.send(next.listener, next.connection);
  }
}
