import { connect, type Socket } from 'node:net';

/** A value of the Redis protocol (RESP2) as it arrives. */
export type Reply = string | number | null | readonly Reply[] | RedisError;

/** Redis answered with an error, or could not be reached; the message says which. */
export class RedisError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RedisError';
  }
}

export interface RedisClient {
  /**
   * Sends one command and resolves with its answer. `again` allows sending it a second time when the connection ended before the answer: for commands
   * that may be repeated without harm. Rejects with RedisError.
   */
  command(words: readonly string[], again?: boolean): Promise<Reply>;
  close(): void;
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

const maxReplyBytes = 16 * 1024 * 1024;
const maxDepth = 8;

/** Reads one reply from `bytes` at `start`: the reply and where it ends, or undefined when bytes are missing. Throws RedisError for what is no RESP. */
export function readReply(
  bytes: Buffer,
  start = 0,
  depth = 0,
): { readonly reply: Reply; readonly end: number } | undefined {
  const lineEnd = bytes.indexOf('\r\n', start);
  if (lineEnd < 0) return undefined;
  if (depth > maxDepth) throw new RedisError('the answer is nested too deeply');
  const line = bytes.toString('utf8', start + 1, lineEnd);
  const after = lineEnd + 2;
  switch (String.fromCharCode(bytes[start] ?? 0)) {
    case '+':
      return { reply: line, end: after };
    case '-':
      return { reply: new RedisError(line), end: after };
    case ':':
      return { reply: Number(line), end: after };
    case '$': {
      const length = Number(line);
      if (length < 0) return { reply: null, end: after };
      if (bytes.length < after + length + 2) return undefined;
      return { reply: bytes.toString('utf8', after, after + length), end: after + length + 2 };
    }
    case '*': {
      const items: Reply[] = [];
      let position = after;
      for (let index = 0; index < Number(line); index++) {
        const item = readReply(bytes, position, depth + 1);
        if (!item) return undefined;
        items.push(item.reply);
        position = item.end;
      }
      return { reply: items, end: position };
    }
    default:
      throw new RedisError('the answer is not in the Redis protocol');
  }
}

const encode = (words: readonly string[]) =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;

/**
 * A client of one Redis server. It connects when the first command comes and again whenever the connection has ended, so a server (or the proxy in
 * front of it) may come late, go and come back. A command without an answer within `timeoutMs` ends the connection.
 */
export function createRedisClient(options: {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs?: number;
}): RedisClient {
  const timeoutMs = options.timeoutMs ?? 3000;
  const where = `redis at ${options.host}:${options.port}`;
  let open: { readonly socket: Socket; readonly waiting: Waiting[] } | undefined;

  function dial(): { readonly socket: Socket; readonly waiting: Waiting[] } {
    const socket = connect({ host: options.host, port: options.port, noDelay: true });
    const waiting: Waiting[] = [];
    const connection = { socket, waiting };
    let received: Buffer = Buffer.alloc(0);
    let reason = 'the connection ended';
    socket.setTimeout(timeoutMs, () => {
      if (waiting.length > 0) socket.destroy(new Error(`no answer within ${timeoutMs} ms`));
    });
    socket.on('data', (chunk: Buffer) => {
      received = received.length > 0 ? Buffer.concat([received, chunk]) : chunk;
      try {
        if (received.length > maxReplyBytes) throw new RedisError(`the answer has more than ${maxReplyBytes} bytes`);
        for (let next = readReply(received); next !== undefined; next = readReply(received)) {
          received = received.subarray(next.end);
          const { reply } = next;
          const asked = waiting.shift();
          if (reply instanceof RedisError) asked?.reject(reply);
          else asked?.resolve(reply);
        }
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.on('error', (error) => {
      reason = error.message;
    });
    socket.on('close', () => {
      if (open === connection) open = undefined;
      for (const { reject } of waiting.splice(0)) reject(new ConnectionLost(`${where}: ${reason}`));
    });
    return connection;
  }

  const send = (words: readonly string[]) =>
    new Promise<Reply>((resolve, reject) => {
      if (!open || open.socket.destroyed) open = dial();
      open.waiting.push({ resolve, reject });
      open.socket.write(encode(words));
    });

  return {
    command: async (words, again = false) => {
      try {
        return await send(words);
      } catch (error) {
        if (!again || !(error instanceof ConnectionLost)) throw error;
        return send(words);
      }
    },
    close: () => open?.socket.destroy(),
  };
}

class ConnectionLost extends RedisError {}
