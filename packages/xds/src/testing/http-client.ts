import { request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';

export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface HttpCall {
  readonly address?: string;
  readonly port?: number;
  /** A Unix domain socket instead of address and port; an abstract one starts with a NUL character. */
  readonly socketPath?: string;
  readonly host: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes before the request on the connection, such as a PROXY protocol header. */
  readonly first?: string;
}

/** One request by HTTP/1.1 on a connection of its own; its path is sent as it is. */
export function httpGet(call: HttpCall): Promise<HttpReply> {
  const { host, path = '/', headers = {}, first, address = '127.0.0.1', port = 80, socketPath } = call;
  return new Promise((resolve, reject) => {
    const socket = socketPath === undefined ? connect(port, address) : connect(socketPath);
    if (first !== undefined) socket.write(first);
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer in time')));
    const outgoing = request({ createConnection: () => socket, path, headers: { host, ...headers } }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('error', reject);
      response.on('end', () => {
        socket.destroy();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** One request by HTTP/2 without TLS. */
export function http2Get(
  address: string,
  port: number,
  host: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<HttpReply> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`http://${address}:${port}`);
    session.on('error', reject);
    const stream = session.request({ ':path': '/', ':authority': host, ...headers });
    let reply: Pick<HttpReply, 'status' | 'headers'> = { status: 0, headers: {} };
    stream.on('response', (received) => {
      reply = { status: Number(received[':status']), headers: received };
    });
    let body = '';
    stream.on('data', (chunk: Buffer) => (body += chunk.toString()));
    stream.on('error', reject);
    stream.on('end', () => {
      session.close();
      resolve({ ...reply, body });
    });
    stream.end();
  });
}

/** Sends bytes and gives what comes back first. */
export function sendBytes(address: string, port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, address, () => socket.write(text));
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer in time')));
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString());
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the connection ended without an answer')));
  });
}
