import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { withId } from './message.ts';

/** A name server that is asked for what the mesh does not know. */
export interface NameServer {
  readonly address: string;
  readonly port: number;
}

export interface UpstreamOptions {
  /** Milliseconds that one server has. */
  readonly timeoutMs: number;
  /** Number for a query, 0 to 65535, hard to guess. */
  readonly randomId: () => number;
}

/** Asks one server over UDP, and over TCP where the answer was cut off and the client can take more. Rejects when there is none in time. */
export async function askServer(
  server: NameServer,
  query: Buffer,
  transport: 'udp' | 'tcp',
  options: UpstreamOptions,
): Promise<Buffer> {
  if (transport === 'tcp') return askTcp(server, query, options);
  return askUdp(server, query, options);
}

/**
 * One query over UDP: a socket of its own, so that every query has another source port, and an id of its own; both have to fit the answer, and
 * so has the question, else anybody could put words into the server's mouth.
 */
function askUdp(server: NameServer, query: Buffer, { timeoutMs, randomId }: UpstreamOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(server.address.split('%')[0] ?? '') ? 'udp6' : 'udp4');
    const id = randomId();
    let over = false;
    const settle = (action: () => void): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      socket.close();
      action();
    };
    const timer = setTimeout(
      () => settle(() => reject(new Error(`${server.address} did not answer in time`))),
      timeoutMs,
    );
    socket.on('error', (error) => settle(() => reject(error)));
    socket.on('message', (answer) => {
      if (!belongsTo(answer, query, id)) return;
      settle(() => resolve(withId(answer, query.readUInt16BE(0))));
    });
    // Connected: only this server's datagrams arrive, and a refusal is noticed.
    socket.once('connect', () => {
      socket.send(withId(query, id), (error) => {
        if (error) settle(() => reject(error));
      });
    });
    socket.connect(server.port, server.address);
  });
}

function askTcp(server: NameServer, query: Buffer, { timeoutMs, randomId }: UpstreamOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const id = randomId();
    const socket = connect(server.port, server.address);
    let received = Buffer.alloc(0);
    const settle = (action: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      action();
    };
    const timer = setTimeout(
      () => settle(() => reject(new Error(`${server.address} did not answer in time`))),
      timeoutMs,
    );
    socket.on('connect', () => {
      const head = Buffer.alloc(2);
      head.writeUInt16BE(query.length, 0);
      socket.write(Buffer.concat([head, withId(query, id)]));
    });
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const answer = received.subarray(2, 2 + received.readUInt16BE(0));
      if (!belongsTo(answer, query, id)) settle(() => reject(new Error(`${server.address} answered another question`)));
      else settle(() => resolve(withId(answer, query.readUInt16BE(0))));
    });
    socket.on('error', (error) => settle(() => reject(error)));
    socket.on('end', () => settle(() => reject(new Error(`${server.address} closed the connection`))));
  });
}

function belongsTo(answer: Buffer, query: Buffer, id: number): boolean {
  if (answer.length < 12 || answer.readUInt16BE(0) !== id || (answer.readUInt16BE(2) & 0x8000) === 0) return false;
  const questions = answer.readUInt16BE(4);
  // Servers that refuse a query may leave its question away.
  if (questions === 0) return true;
  const section = questionSection(query);
  return answer.subarray(12, 12 + section.length).equals(section);
}

/** The first question of a query; what is cut off counts as it is. */
function questionSection(query: Buffer): Buffer {
  let at = 12;
  for (let length = query[at] ?? 0; length !== 0 && at < query.length; length = query[at] ?? 0) at += 1 + length;
  return query.subarray(12, at + 5);
}

/** A pool of servers: one after the other until one answers, or all at once and the first answer counts. */
export interface Upstream {
  /** Rejects when no server answered. */
  ask(query: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer>;
}

export function createUpstream(servers: readonly NameServer[], parallel: boolean, options: UpstreamOptions): Upstream {
  return {
    async ask(query, transport) {
      if (servers.length === 0) throw new Error('resolv.conf names no server');
      if (parallel) return Promise.any(servers.map((server) => askServer(server, query, transport, options)));
      let last: unknown;
      for (const server of servers) {
        try {
          return await askServer(server, query, transport, options);
        } catch (error) {
          last = error;
        }
      }
      throw last;
    },
  };
}
