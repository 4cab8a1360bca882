import { Server } from 'node:net';
import type { HostBinder } from '../network/host-access.ts';
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

export function connectParent(channel: NodeJS.Process): Parent {
  const listens = new Map<number, { resolve: (server: Server) => void; reject: (error: Error) => void }>();
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
        if (handle instanceof Server) waiter?.resolve(handle);
        else waiter?.reject(new HostListenError(message.error ?? 'no socket came along', message.code));
      }
    }
  });
  return {
    setPhase: (phase) => send({ op: 'phase', phase }),
    listen(host, port) {
      return new Promise((resolve, reject) => {
        const id = next;
        next += 1;
        listens.set(id, { resolve, reject });
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
