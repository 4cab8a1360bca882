import { Server, Socket } from 'node:net';
import type { HostBinder, HostServer } from '../network/host-access.ts';
import type { ClusterPhase, Reply, Request } from './messages.ts';

/** The cluster process' side of the channel to the supervisor. */
export interface Parent extends HostBinder {
  setPhase(phase: ClusterPhase): void;
  /** Asks the host's name servers. */
  exchangeDns(message: Buffer): Promise<Buffer | undefined>;
  onStop(listener: () => void): void;
}

export class HostListenError extends Error {
  readonly code: string | undefined;
  constructor(message: string, code: string | undefined) {
    super(message);
    this.name = 'HostListenError';
    this.code = code;
  }
}

/** A listening socket of the host as this process sees it: connections that come before somebody cares for them wait. */
class ParentServer implements HostServer {
  readonly port: number;
  readonly close: () => void;
  readonly #early: Socket[] = [];
  #serve: ((connection: Socket) => void) | undefined;

  constructor(port: number, close: () => void) {
    this.port = port;
    this.close = close;
  }

  serve(serve: (connection: Socket) => void): void {
    this.#serve = serve;
    for (const connection of this.#early.splice(0)) serve(connection);
  }

  accept(connection: Socket): void {
    if (this.#serve === undefined) this.#early.push(connection);
    else this.#serve(connection);
  }
}

export function connectParent(channel: NodeJS.Process): Parent {
  const listens = new Map<
    number,
    { host: string; resolve: (server: HostServer) => void; reject: (e: Error) => void }
  >();
  const servers = new Map<string, ParentServer>();
  const questions = new Map<number, (answer: Buffer | undefined) => void>();
  const stops: (() => void)[] = [];
  let next = 1;
  const send = (request: Request) => channel.send?.(request);
  channel.on('message', (message: Reply, handle: unknown) => {
    switch (message.op) {
      case 'stop':
        for (const listener of stops) listener();
        break;
      case 'dns':
        questions.get(message.id)?.(message.message === undefined ? undefined : Buffer.from(message.message, 'base64'));
        questions.delete(message.id);
        break;
      case 'listening': {
        const waiter = listens.get(message.id);
        listens.delete(message.id);
        if (waiter === undefined) break;
        if ('error' in message) {
          waiter.reject(new HostListenError(message.error, message.code));
          break;
        }
        if (handle instanceof Server) {
          // From a supervisor of an earlier build, which runs on while the programs are replaced: it hands over whole sockets.
          waiter.resolve(fromServer(handle));
          break;
        }
        const { host } = waiter;
        const { port } = message;
        const server = new ParentServer(port, () => {
          servers.delete(`${host}:${port}`);
          send({ op: 'unlisten', host, port });
        });
        servers.set(`${host}:${port}`, server);
        waiter.resolve(server);
        break;
      }
      case 'connection': {
        send({ op: 'taken' });
        if (!(handle instanceof Socket)) break;
        handle.on('error', () => {});
        const server = servers.get(`${message.host}:${message.port}`);
        if (server === undefined) handle.destroy();
        else server.accept(handle);
      }
    }
  });
  return {
    setPhase: (phase) => send({ op: 'phase', phase }),
    listen(host, port) {
      return new Promise((resolve, reject) => {
        const id = next;
        next += 1;
        listens.set(id, { host, resolve, reject });
        send({ op: 'listen', id, host, port });
      });
    },
    exchangeDns(message) {
      return new Promise((resolve) => {
        const id = next;
        next += 1;
        questions.set(id, resolve);
        send({ op: 'dns', id, message: message.toString('base64') });
      });
    },
    onStop: (listener) => stops.push(listener),
  };
}

function fromServer(server: Server): HostServer {
  const address = server.address();
  Object.assign(server, { allowHalfOpen: true, pauseOnConnect: true });
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    serve: (serve) => server.removeAllListeners('connection').on('connection', serve),
    close: () => server.close(),
  };
}
