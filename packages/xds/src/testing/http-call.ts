import { request } from 'node:http';
import type { Arrival } from './origin.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
  /** What the origin saw, where an origin answered. */
  readonly seen: Arrival | undefined;
}

export interface Call {
  readonly address: string;
  readonly port: number;
  readonly host: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Own address of the client. */
  readonly from?: string;
}

/** One HTTP/1.1 request on a connection of its own. */
export const call = (path: string, { address, port, host, method = 'GET', headers, from }: Call): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request(
      {
        host: address,
        port,
        path,
        method,
        headers: { host, ...headers },
        agent: false,
        ...(from !== undefined && { localAddress: from }),
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            seen: text.startsWith('{') ? (JSON.parse(text) as Arrival) : undefined,
          }),
        );
        response.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end();
  });
