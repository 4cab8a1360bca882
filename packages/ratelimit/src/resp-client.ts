import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { type RespValue, RespError, RespReader } from './resp.ts';

/** Where a Redis is. */
export type RedisAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly tls?: ConnectionOptions };

export interface RespClientOptions {
  readonly address: RedisAddress;
  /** `password` or `user:password`. */
  readonly auth?: string;
  /** An answer takes no longer, default 5 s. */
  readonly timeoutMs?: number;
  /** Called when the connection is there, and when it is lost. */
  readonly onConnection?: (connected: boolean) => void;
}

export interface RespClient {
  /** Sends commands together and gives their replies; rejects when the connection fails or a reply does not come in time. */
  pipeline(commands: readonly (readonly string[])[]): Promise<readonly RespValue[]>;
  readonly connected: boolean;
  close(): void;
}

interface Waiting {
  readonly resolve: (value: RespValue) => void;
  readonly reject: (error: Error) => void;
}

/** Commands that may wait for an answer. */
const MAX_WAITING = 100_000;

function encodeCommand(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

/**
 * One connection to a Redis, made at the first command and again after it was lost. What is asked in one turn of the event loop goes out in one write, and no
 * command waits for the answer of another.
 */
export function openRespClient({ address, auth, timeoutMs = 5000, onConnection }: RespClientOptions): RespClient {
  let socket: Socket | undefined;
  let isConnected = false;
  let isClosed = false;
  let waiting: Waiting[] = [];
  let answered = 0;
  let outgoing: string[] = [];
  let timer: NodeJS.Timeout | undefined;

  const fail = (error: Error): void => {
    const lost = waiting;
    waiting = [];
    answered = 0;
    outgoing = [];
    const wasConnected = isConnected;
    isConnected = false;
    clearTimeout(timer);
    timer = undefined;
    socket?.destroy();
    socket = undefined;
    for (const { reject } of lost) reject(error);
    if (wasConnected) onConnection?.(false);
  };

  /** As long as something is asked, some answer comes within the time. */
  const watch = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length === 0) return;
    timer = setTimeout(() => fail(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  };

  const open = (): Socket => {
    const opened =
      address.kind === 'unix'
        ? connectTcp(address.path)
        : address.tls === undefined
          ? connectTcp(address.port, address.host)
          : connectTls({ host: address.host, port: address.port, servername: address.host, ...address.tls });
    const reader = new RespReader();
    opened.setNoDelay(true);
    opened.on(address.kind === 'tcp' && address.tls !== undefined ? 'secureConnect' : 'connect', () => {
      isConnected = true;
      onConnection?.(true);
    });
    opened.on('data', (chunk: Buffer) => {
      if (socket !== opened) return;
      let values: readonly RespValue[];
      try {
        values = reader.push(chunk);
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)));
        return;
      }
      for (const value of values) waiting[answered++]?.resolve(value);
      if (answered === waiting.length || answered > 1000) {
        waiting = waiting.slice(answered);
        answered = 0;
      }
      watch();
    });
    const lost = (error?: Error): void => {
      if (socket === opened) fail(error ?? new Error('the connection was closed'));
    };
    opened.on('error', lost);
    opened.on('close', () => lost());
    return opened;
  };

  const send = (command: readonly string[]): Promise<RespValue> =>
    new Promise((resolve, reject) => {
      if (waiting.length >= MAX_WAITING) {
        reject(new Error('too many commands wait for an answer'));
        return;
      }
      waiting.push({ resolve, reject });
      if (outgoing.push(encodeCommand(command)) === 1) setImmediate(flush);
      if (timer === undefined) watch();
    });

  const flush = (): void => {
    if (outgoing.length === 0) return;
    const text = outgoing.join('');
    outgoing = [];
    socket?.write(text);
  };

  return {
    async pipeline(commands) {
      if (isClosed) throw new Error('the connection is closed');
      if (socket === undefined) {
        socket = open();
        if (auth !== undefined && auth !== '') {
          const colon = auth.indexOf(':');
          const words = colon < 0 ? [auth] : [auth.slice(0, colon), auth.slice(colon + 1)];
          send(['AUTH', ...words]).then(
            (reply) => {
              if (reply instanceof RespError) fail(new Error(`Redis does not let us in: ${reply.message}`));
            },
            () => {},
          );
        }
      }
      return Promise.all(commands.map(send));
    },
    get connected() {
      return isConnected;
    },
    close() {
      isClosed = true;
      fail(new Error('the connection is closed'));
    },
  };
}
