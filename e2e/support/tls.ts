import { request } from 'node:http';
import { connect } from 'node:tls';

export interface TlsAnswer {
  readonly status: number;
  readonly body: string;
  /** Fingerprint (SHA-256) of the certificate that the server showed. */
  readonly fingerprint: string;
}

/** A request by HTTPS to an address under a host name (also the server name of TLS). Rejects where TLS fails. */
export function https(
  address: string,
  port: number,
  host: string,
  options: { readonly path?: string; readonly cert?: string; readonly key?: string } = {},
): Promise<TlsAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: address,
      port,
      servername: host,
      // What is shown is looked at by its fingerprint.
      rejectUnauthorized: false,
      ...(options.cert && { cert: options.cert, key: options.key }),
    });
    socket.on('error', reject);
    socket.setTimeout(30_000, () => socket.destroy(new Error('timed out')));
    socket.on('secureConnect', () => {
      const fingerprint = socket.getPeerX509Certificate()?.fingerprint256 ?? '';
      const outgoing = request(
        { createConnection: () => socket, path: options.path ?? '/', headers: { host } },
        (response) => {
          let body = '';
          response.on('data', (chunk: Buffer) => (body += chunk.toString()));
          response.on('error', reject);
          response.on('end', () => {
            socket.destroy();
            resolve({ status: response.statusCode ?? 0, body, fingerprint });
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end();
    });
  });
}
