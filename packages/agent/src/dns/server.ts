import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import type { NameTable } from '@istio-ts/envoy/name-table';
import type { Logger } from '../log.ts';
import type { DnsMetrics } from './metrics.ts';
import {
  encodeAnswer,
  encodeBareFailure,
  encodeFailure,
  type Question,
  readQuestion,
  RecordType,
  ResponseCode,
  truncated,
} from './message.ts';
import { Names, type NamesOptions } from './names.ts';
import type { Upstream } from './upstream.ts';

/** Seconds that clients may keep an answer of the mesh. */
const TTL_SECONDS = 30;
/** Queries that wait for a name server at the same time; more are refused, so that a silent server does not fill the memory. */
const MAX_WAITING = 1000;
const MAX_TCP_CLIENTS = 200;
const TCP_IDLE_MS = 10_000;

export interface DnsServerOptions {
  /** Addresses of the loopback to listen on. */
  readonly addresses: readonly string[];
  readonly port: number;
  readonly names: NamesOptions;
  readonly upstream: Upstream;
  readonly metrics: DnsMetrics;
  readonly log: Logger;
  /** Puts addresses into another order for each answer, which spreads clients over them. */
  readonly shuffle?: (addresses: readonly string[]) => readonly string[];
}

export interface DnsServer {
  /** The names of the mesh from now on. Before the first table everything is asked of the name servers. */
  update(table: NameTable): void;
  readonly size: number;
  close(): Promise<void>;
}

type Transport = 'udp' | 'tcp';

/** Answers a pod's DNS queries: names of the mesh by itself, everything else through the pod's name servers. Rejects when a port is taken. */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const { upstream, metrics, log } = options;
  const shuffle = options.shuffle ?? ((addresses) => addresses);
  let names = new Names(new Map(), options.names);
  let waiting = 0;

  const forward = async (query: Buffer, transport: Transport, question: Question | undefined): Promise<Buffer> => {
    const fail = (): Buffer =>
      question
        ? encodeFailure(question, ResponseCode.serverFailure)
        : encodeBareFailure(query.readUInt16BE(0), ResponseCode.serverFailure);
    if (waiting >= MAX_WAITING) {
      metrics.failure();
      return fail();
    }
    waiting++;
    const finished = metrics.startUpstream();
    try {
      const answer = await upstream.ask(query, transport);
      return transport === 'udp' && question && answer.length > question.udpBytes
        ? truncated(answer, question)
        : answer;
    } catch (error) {
      metrics.failure();
      log.debug('a DNS query found no answer', { name: question?.name, error: String(error) });
      return fail();
    } finally {
      finished();
      waiting--;
    }
  };

  const answer = async (query: Buffer, transport: Transport): Promise<Buffer | undefined> => {
    const read = readQuestion(query);
    if (read.kind === 'garbage') return undefined;
    metrics.request();
    if (read.kind === 'other') return forward(query, transport, undefined);
    const { question } = read;
    const found =
      question.type === RecordType.A || question.type === RecordType.AAAA ? names.find(question.name) : undefined;
    if (!found) return forward(query, transport, question);
    // A name without an address of this family exists all the same: no error, no address.
    const addresses = found.ips.filter((ip) => isIPv6(ip) === (question.type === RecordType.AAAA));
    return encodeAnswer(
      question,
      { ...(found.alias !== undefined && { alias: found.alias }), addresses: shuffle(addresses), ttl: TTL_SECONDS },
      transport,
    );
  };

  const opened: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((end) => end()));
  };
  let bound = 0;
  try {
    for (const address of options.addresses) {
      try {
        opened.push(await listenUdp(address, options.port, answer), await listenTcp(address, options.port, answer));
        bound++;
      } catch (error) {
        // A machine may have no IPv6 at all; one family is enough.
        if (!(error instanceof Error && /EADDRNOTAVAIL|EAFNOSUPPORT|EINVAL/.test(error.message))) throw error;
      }
    }
    if (bound === 0) throw new Error(`none of ${options.addresses.join(', ')} can be listened on`);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    update: (table) => {
      names = new Names(table, options.names);
    },
    get size() {
      return names.size;
    },
    close,
  };
}

type Answering = (query: Buffer, transport: Transport) => Promise<Buffer | undefined>;

function listenUdp(address: string, port: number, answer: Answering): Promise<() => Promise<void>> {
  return new Promise((resolve, reject) => {
    const socket: UdpSocket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', ipv6Only: isIPv6(address) });
    let open = true;
    socket.on('message', (query, from) => {
      void answer(query, 'udp').then((response) => {
        if (response && open) socket.send(response, from.port, from.address, () => undefined);
      });
    });
    socket.once('error', reject);
    socket.bind(port, address, () => {
      socket.off('error', reject);
      socket.on('error', () => undefined);
      resolve(
        () =>
          new Promise((done) => {
            open = false;
            socket.close(() => done());
          }),
      );
    });
  });
}

function listenTcp(address: string, port: number, answer: Answering): Promise<() => Promise<void>> {
  return new Promise((resolve, reject) => {
    const clients = new Set<Socket>();
    const server: Server = createServer((client) => {
      clients.add(client);
      client.on('close', () => clients.delete(client));
      serveTcp(client, answer);
    });
    server.maxConnections = MAX_TCP_CLIENTS;
    server.once('error', reject);
    server.listen({ port, host: address, ipv6Only: isIPv6(address) }, () => {
      server.off('error', reject);
      resolve(
        () =>
          new Promise((done) => {
            for (const client of clients) client.destroy();
            server.close(() => done());
          }),
      );
    });
  });
}

/** Messages have their length in front; the next one is read when the last one is answered, so a client cannot pile them up. */
function serveTcp(client: Socket, answer: Answering): void {
  let received: Buffer = Buffer.alloc(0);
  let isBusy = false;
  client.setTimeout(TCP_IDLE_MS, () => client.destroy());
  client.on('error', () => client.destroy());
  const next = (): void => {
    if (isBusy || received.length < 2) return;
    const length = received.readUInt16BE(0);
    if (received.length < 2 + length) return;
    const query = Buffer.from(received.subarray(2, 2 + length));
    received = received.subarray(2 + length);
    isBusy = true;
    client.pause();
    void answer(query, 'tcp').then((response) => {
      isBusy = false;
      if (client.destroyed) return;
      if (!response) {
        client.destroy();
        return;
      }
      const head = Buffer.alloc(2);
      head.writeUInt16BE(response.length, 0);
      client.write(Buffer.concat([head, response]));
      client.resume();
      next();
    });
  };
  client.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    next();
  });
}
