/** A port on which a process of a pod listens. */
export interface ListeningSocket {
  readonly port: number;
  /** Only reachable from inside the pod: bound to 127.0.0.0/8 or ::1. */
  readonly loopback: boolean;
}

const listening = '0A';
const loopback6 = '00000000000000000000000001000000';

/** Reads Linux' tables of sockets, `/proc/net/tcp` and `/proc/net/tcp6` one after the other (proc(5)). Lines of another form are skipped. */
export function parseListeningSockets(tables: string): readonly ListeningSocket[] {
  return tables.split('\n').flatMap((line) => {
    const [, address = '', , state] = line.trim().split(/\s+/);
    const [, host, port] = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(address) ?? [];
    if (state !== listening || host === undefined || port === undefined) return [];
    // Addresses stand in the order of the machine: the first byte of an IPv4 address is the last one here.
    const mapped = /^0000000000000000FFFF0000([0-9A-F]{8})$/.exec(host)?.[1];
    const four = host.length === 8 ? host : mapped;
    const loopback = four === undefined ? host === loopback6 : four.endsWith('7F');
    return [{ port: Number.parseInt(port, 16), loopback }];
  });
}
