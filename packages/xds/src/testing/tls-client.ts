import { request } from 'node:http';
import { connect, type ConnectionOptions } from 'node:tls';

export interface TlsReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Fingerprint (SHA-256) of the certificate that the server showed. */
  readonly fingerprint: string;
  readonly protocol: string | null;
  readonly cipher: string;
}

/** One request by HTTP/1.1 over TLS; `servername` is also its host unless `host` says otherwise. Rejects where the connection fails. */
export function tlsGet(
  address: string,
  port: number,
  options: ConnectionOptions & { readonly servername: string; readonly host?: string; readonly path?: string },
): Promise<TlsReply> {
  const { host = options.servername, path = '/', ...tls } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({ ...tls, host: address, port, rejectUnauthorized: false });
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer in time')));
    socket.on('error', reject);
    socket.on('secureConnect', () => {
      const shown = {
        fingerprint: socket.getPeerX509Certificate()?.fingerprint256 ?? '',
        protocol: socket.getProtocol(),
        cipher: socket.getCipher().standardName,
      };
      const outgoing = request({ createConnection: () => socket, path, headers: { host } }, (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString()));
        response.on('error', reject);
        response.on('end', () => {
          socket.destroy();
          const headers = response.headers as Readonly<Record<string, string>>;
          resolve({ status: response.statusCode ?? 0, headers, body, ...shown });
        });
      });
      outgoing.on('error', reject);
      outgoing.end();
    });
  });
}
