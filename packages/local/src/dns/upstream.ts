import { createSocket } from 'node:dgram';
import { isIP } from 'node:net';

/** Asks the machine's own name servers. */
export interface Upstream {
  /** The raw answer; undefined when no server answers in time. */
  query(message: Buffer): Promise<Buffer | undefined>;
}

const TIMEOUT = 1500;
/** After a failure nobody is asked for this time, so that lookups without a network fail at once. */
const PAUSE = 10_000;

/** Name servers of a resolv.conf; at most three, as the resolver library has it. */
export function nameServers(resolvConf: string): string[] {
  return resolvConf
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([word, address]) => word === 'nameserver' && isIP(address ?? '') !== 0)
    .map(([, address]) => address ?? '')
    .slice(0, 3);
}

/** Asks servers in turn over UDP. `exchange` sends one datagram and gives the answer; it runs where the servers can be reached. */
export function createUpstream(
  exchange: (message: Buffer) => Promise<Buffer | undefined>,
  now: () => number = Date.now,
): Upstream {
  let pausedUntil = 0;
  return {
    async query(message) {
      if (now() < pausedUntil) return undefined;
      const answer = await exchange(message).catch(() => undefined);
      if (answer === undefined) pausedUntil = now() + PAUSE;
      return answer;
    },
  };
}

/** Sends a question to the first server that answers. For the process that lives in the host's network namespace. */
export async function exchangeWith(servers: readonly string[], message: Buffer): Promise<Buffer | undefined> {
  for (const server of servers) {
    const answer = await askOne(server, message);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

function askOne(server: string, message: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIP(server) === 6 ? 'udp6' : 'udp4');
    let settled = false;
    const finish = (answer: Buffer | undefined) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(finish, TIMEOUT, undefined);
    socket.on('error', () => finish(undefined));
    // Connected, so that a refusal is noticed and only this server can answer. Without a route to the server there is an 'error' and no 'connect'
    // (a callback of connect() would be called in both cases).
    socket.once('connect', () => {
      socket.on('message', (answer) => {
        if (answer.length >= 12 && answer.readUInt16BE(0) === message.readUInt16BE(0)) finish(answer);
      });
      socket.send(message, (error) => {
        if (error !== null) finish(undefined);
      });
    });
    socket.connect(53, server);
  });
}
