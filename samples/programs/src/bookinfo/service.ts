import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';

/** Where a service of Bookinfo is reached: its host by variable, its domain by `SERVICES_DOMAIN`. */
export function addressOf(
  service: 'DETAILS' | 'RATINGS' | 'REVIEWS',
  env: Readonly<Record<string, string | undefined>>,
): string {
  const host = env[`${service}_HOSTNAME`] ?? service.toLowerCase();
  const port = env[`${service}_SERVICE_PORT`] ?? '9080';
  return `http://${host}${env.SERVICES_DOMAIN ? `.${env.SERVICES_DOMAIN}` : ''}:${port}`;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
}

/** Asks another service; rejects when there is no answer within `timeoutMs`. */
export function ask(url: string, headers: Readonly<Record<string, string>>, timeoutMs: number): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { headers, signal: AbortSignal.timeout(timeoutMs) }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

const longestBody = 64 * 1024;

export async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > longestBody) throw new RangeError(`a body may have ${longestBody} bytes at most`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(value)}\n`);
}

/** The book's number in paths like `/reviews/0`; undefined for other paths. */
export function bookIn(path: string, root: string): number | undefined {
  const [, first, number, ...rest] = path.split('/');
  return first === root && rest.length === 0 && /^\d+$/.test(number ?? '') ? Number(number) : undefined;
}

/** Serves until the process is told to end. The port is the first argument (9080). */
export function serve(
  name: string,
  answer: (request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void> | void,
): void {
  const port = Number(process.argv[2] ?? '9080');
  // The proxy in front ends idle connections: if both did, its next request could meet the end of one.
  const server = createServer({ keepAliveTimeout: 0 }, async (incoming, response) => {
    try {
      await answer(incoming, response, new URL(incoming.url ?? '/', `http://${name}`));
      if (!response.headersSent) json(response, { error: `there is no ${incoming.url} here` }, 404);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else json(response, { error: (error as Error).message }, error instanceof RangeError ? 413 : 500);
    }
  });
  // All addresses of both families where the pod has them.
  server.listen(port, () => console.log(`${name} listens on port ${port}`));
  process.once('SIGTERM', () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
