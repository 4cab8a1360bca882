import type { IncomingMessage } from 'node:http';
import { http } from '../builtins.ts';

/** Thrown when Envoy's admin interface does not answer, or not with 200. */
export class AdminError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AdminError';
  }
}

export interface AdminOptions {
  readonly port: number;
  readonly host?: string;
  readonly timeoutMs?: number;
}

/** Sends a request to Envoy's admin interface and gives the response as it streams in, whatever its status. Raises {@link AdminError}. */
export function adminStream(method: string, path: string, options: AdminOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        host: options.host ?? '127.0.0.1',
        port: options.port,
        method,
        path,
        agent: false,
        headers: { connection: 'close', 'content-length': 0 },
      },
      resolve,
    );
    request.setTimeout(options.timeoutMs ?? 5000, () => request.destroy(new Error('no answer in time')));
    request.on('error', (error) =>
      reject(new AdminError(`Envoy's admin interface on port ${options.port} does not answer: ${error.message}`)),
    );
    request.end();
  });
}

/** The body as text, at most 64 MiB. Raises {@link AdminError} also for a status other than 200. */
export async function adminText(method: string, path: string, options: AdminOptions): Promise<string> {
  const response = await adminStream(method, path, options);
  const body = await readBody(response, 64 << 20);
  if (response.statusCode !== 200)
    throw new AdminError(`${method} ${path}: Envoy answered ${response.statusCode}: ${body.trim().slice(0, 300)}`);
  return body;
}

/** Collects a body up to a limit. Raises {@link AdminError} beyond it or when the connection breaks. */
export function readBody(message: IncomingMessage, limit: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    message.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) message.destroy(new AdminError(`the body is longer than ${limit} bytes`));
      else chunks.push(chunk);
    });
    message.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    message.on('error', (error) => reject(error instanceof AdminError ? error : new AdminError(error.message)));
  });
}
