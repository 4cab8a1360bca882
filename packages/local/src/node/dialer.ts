import { type ChildProcess, spawn } from 'node:child_process';
import { connect, Socket } from 'node:net';
import { namespacePath } from '../network/namespace.ts';

/** Connects to loopback addresses inside the network namespaces of pods. */
export interface Dialer {
  /** Throws an Error that names the port when nothing listens there. */
  dial(namespace: string, port: number): Promise<Socket>;
  close(): void;
}

const IDLE = 10_000;

interface Helper {
  readonly child: ChildProcess;
  readonly waiting: Map<number, { readonly resolve: (socket: Socket) => void; readonly reject: (e: Error) => void }>;
  next: number;
  idle: NodeJS.Timeout;
}

/**
 * A process cannot leave its network namespace, so a small helper in the pod's connects and hands the open socket over. It stays for some seconds,
 * as a forwarded port is seldom used only once.
 */
export function createDialer(node: string, program: readonly string[], ownNamespace: string): Dialer {
  const helpers = new Map<string, Helper>();
  const start = (namespace: string): Helper => {
    const child = spawn('nsenter', [`--net=${namespacePath(namespace)}`, '--', node, ...program], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const helper: Helper = {
      child,
      waiting: new Map(),
      next: 1,
      idle: setTimeout(() => child.kill(), IDLE),
    };
    child.on('message', (message: unknown, handle: unknown) => {
      if (typeof message !== 'object' || message === null || !('id' in message)) return;
      const waiter = helper.waiting.get(Number(message.id));
      helper.waiting.delete(Number(message.id));
      if (handle instanceof Socket) {
        if (waiter === undefined) handle.destroy();
        else waiter.resolve(handle);
      } else {
        const text = 'error' in message ? String(message.error) : 'connection failed';
        waiter?.reject(new Error(text));
      }
    });
    const gone = () => {
      clearTimeout(helper.idle);
      if (helpers.get(namespace) === helper) helpers.delete(namespace);
      for (const { reject } of helper.waiting.values()) reject(new Error('the pod went away'));
      helper.waiting.clear();
    };
    child.on('exit', gone);
    child.on('error', gone);
    helpers.set(namespace, helper);
    return helper;
  };
  return {
    dial(namespace, port) {
      if (namespace === ownNamespace) {
        return new Promise((resolve, reject) => {
          const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
          socket.once('connect', () => resolve(socket));
          socket.once('error', reject);
        });
      }
      const helper = helpers.get(namespace) ?? start(namespace);
      clearTimeout(helper.idle);
      helper.idle = setTimeout(() => helper.child.kill(), IDLE);
      helper.idle.unref();
      return new Promise((resolve, reject) => {
        const id = helper.next;
        helper.next += 1;
        helper.waiting.set(id, { resolve, reject });
        helper.child.send({ id, port }, (error) => {
          if (error !== null) {
            helper.waiting.delete(id);
            reject(error);
          }
        });
      });
    },
    close() {
      for (const { child, idle } of helpers.values()) {
        clearTimeout(idle);
        child.kill();
      }
      helpers.clear();
    },
  };
}
