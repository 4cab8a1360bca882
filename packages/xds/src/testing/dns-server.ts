import { createSocket } from 'node:dgram';

export interface DnsServer {
  readonly address: string;
  readonly port: number;
  /** Names that were asked for, in order, each once for every question of type A. */
  readonly asked: string[];
  /** Addresses by name, as they are answered from now on. */
  readonly names: Map<string, string>;
  close(): Promise<void>;
}

/** A DNS server that knows IPv4 addresses of some names, to be asked again each time (TTL 0). Other names do not exist. */
export async function startDnsServer(address: string, names: Readonly<Record<string, string>>): Promise<DnsServer> {
  const known = new Map(Object.entries(names));
  const asked: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.subarray(at + 1, at + 1 + length).toString());
      at += length + 1;
    }
    const name = labels.join('.').toLowerCase();
    const isA = query.readUInt16BE(at + 1) === 1;
    const found = known.get(name);
    if (isA) asked.push(name);
    const answer =
      isA && found !== undefined
        ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...found.split('.').map(Number)])
        : Buffer.alloc(0);
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(0x8180 | (found === undefined ? 3 : 0), 2);
    header.writeUInt16BE(answer.length > 0 ? 1 : 0, 6);
    header.writeUInt32BE(0, 8);
    socket.send(Buffer.concat([header, query.subarray(12, at + 5), answer]), from.port, from.address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, address, resolve);
  });
  return {
    address,
    port: socket.address().port,
    asked,
    names: known,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}
