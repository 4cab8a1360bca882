import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import * as packet from 'dns-packet';
import type { Upstream } from './upstream.ts';
import { lookupZone, type Record_, type ZoneSource } from './zone.ts';

export interface DnsServer {
  close(): Promise<void>;
}

/** CoreDNS' default for the cluster's zone is 30 s; endpoints come and go faster in a laboratory. */
const TTL = 5;
const UDP_LIMIT = 1232;
const MAX_TCP_CONNECTIONS = 200;

/** Answers for the cluster's domain, and passes other questions on. Listens on UDP and TCP. */
export async function startDnsServer(options: {
  readonly host: string;
  readonly port: number;
  readonly domain: string;
  readonly source: ZoneSource;
  readonly upstream: Upstream;
  readonly log: (line: string) => void;
}): Promise<DnsServer> {
  const { source, domain, upstream, log } = options;
  const answer = async (message: Buffer, limit: number): Promise<Buffer | undefined> => {
    let query: packet.Packet;
    try {
      query = packet.decode(message);
    } catch {
      // Not DNS: no answer, as resolvers do.
      return undefined;
    }
    const question = query.questions?.[0];
    if (query.type !== 'query' || question === undefined) return undefined;
    return respond(query, question, message, limit);
  };

  async function respond(
    query: packet.Packet,
    question: packet.Question,
    message: Buffer,
    limit: number,
  ): Promise<Buffer> {
    const result = lookupZone(source, domain, question.name, question.type);
    if (result === undefined) {
      const foreign = await upstream.query(message);
      // Without a way out nothing but the cluster exists, and resolvers shall not try further servers.
      return foreign ?? reply(query, question, 'SERVFAIL', [], false, limit);
    }
    const records = result.records.map(encodeRecord);
    if (result.continueWith !== undefined) {
      const inner = lookupZone(source, domain, result.continueWith, question.type);
      if (inner !== undefined) records.push(...inner.records.map(encodeRecord));
      else records.push(...(await foreignRecords(result.continueWith, question.type)));
    }
    return reply(query, question, result.code, records, true, limit);
  }

  async function foreignRecords(name: string, type: string): Promise<packet.Answer[]> {
    const id = Math.floor(Math.random() * 65_536);
    const message = packet.encode({ type: 'query', id, flags: packet.RECURSION_DESIRED, questions: [{ name, type }] });
    const raw = await upstream.query(message);
    if (raw === undefined) return [];
    try {
      return packet.decode(raw).answers ?? [];
    } catch {
      // A resolver that answers with something else has no records.
      return [];
    }
  }

  function reply(
    query: packet.Packet,
    question: packet.Question,
    code: 'NOERROR' | 'NXDOMAIN' | 'SERVFAIL',
    answers: packet.Answer[],
    authoritative: boolean,
    limit: number,
  ): Buffer {
    const codes = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3 } as const;
    const recursion = (query.flags ?? 0) & packet.RECURSION_DESIRED;
    const flags =
      codes[code] | recursion | packet.RECURSION_AVAILABLE | (authoritative ? packet.AUTHORITATIVE_ANSWER : 0);
    const soa: packet.Answer = {
      name: domain,
      type: 'SOA',
      ttl: TTL,
      data: {
        mname: `ns.dns.${domain}`,
        rname: `hostmaster.${domain}`,
        serial: 1,
        refresh: 7200,
        retry: 1800,
        expire: 86_400,
        minimum: TTL,
      },
    };
    const response: packet.Packet = {
      type: 'response',
      id: query.id,
      flags,
      questions: [question],
      answers,
      authorities: answers.length === 0 && authoritative ? [soa] : [],
    };
    const bytes = packet.encode(response);
    if (bytes.length <= limit) return bytes;
    return packet.encode({ ...response, flags: flags | packet.TRUNCATED_RESPONSE, answers: [] });
  }

  const udp = createSocket('udp4');
  udp.on('message', (message, from) => {
    void answer(message, UDP_LIMIT)
      .then((response) => {
        if (response !== undefined) udp.send(response, from.port, from.address);
      })
      .catch((error: Error) => log(`DNS: ${error.message}`));
  });
  const tcp = createServer((socket) => serveTcp(socket, answer, log));
  tcp.maxConnections = MAX_TCP_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    udp.once('error', reject);
    udp.bind(options.port, options.host, () => {
      udp.off('error', reject);
      resolve();
    });
  });
  udp.on('error', (error) => log(`DNS: ${error.message}`));
  await new Promise<void>((resolve, reject) => {
    tcp.once('error', reject);
    tcp.listen(udp.address().port, options.host, () => {
      tcp.off('error', reject);
      resolve();
    });
  });
  tcp.on('error', (error) => log(`DNS: ${error.message}`));
  return {
    close: () =>
      new Promise((resolve) => {
        udp.close();
        tcp.close(() => resolve());
      }),
  };
}

/** Messages with a length of two bytes before each (RFC 1035, 4.2.2). */
function serveTcp(
  socket: Socket,
  answer: (message: Buffer, limit: number) => Promise<Buffer | undefined>,
  log: (line: string) => void,
): void {
  let buffer: Buffer = Buffer.alloc(0);
  socket.setTimeout(10_000, () => socket.destroy());
  socket.on('error', () => {});
  socket.on('data', (data: Buffer) => {
    buffer = Buffer.concat([buffer, data]);
    while (buffer.length >= 2) {
      const length = buffer.readUInt16BE(0);
      if (buffer.length < length + 2) return;
      const message = buffer.subarray(2, length + 2);
      buffer = buffer.subarray(length + 2);
      void answer(message, 65_535)
        .then((response) => {
          if (response === undefined) {
            socket.destroy();
            return;
          }
          const head = Buffer.alloc(2);
          head.writeUInt16BE(response.length);
          socket.write(Buffer.concat([head, response]));
        })
        .catch((error: Error) => log(`DNS: ${error.message}`));
    }
  });
}

function encodeRecord(record: Record_): packet.Answer {
  const common = { name: record.name, ttl: TTL, class: 'IN' };
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return { ...common, type: record.type, data: record.address };
    case 'CNAME':
    case 'PTR':
      return { ...common, type: record.type, data: record.target };
    case 'SRV':
      return {
        ...common,
        type: 'SRV',
        data: { target: record.target, port: record.port, priority: record.priority, weight: record.weight },
      };
  }
}
