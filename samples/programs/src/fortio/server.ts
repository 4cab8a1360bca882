import { createServer, type Server } from 'node:http';

const longestDelayMs = 30_000;

/** The echo of `fortio server`: gives back the body, with the status, after the delay (`50ms`, `1s`) and with the size that the query asks for. */
export function echoServer(): Server {
  // The proxy in front ends idle connections: if both did, its next request could meet the end of one.
  return createServer({ keepAliveTimeout: 0 }, async (incoming, response) => {
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://fortio');
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const [, count = '0', unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s)$/.exec(searchParams.get('delay') ?? '') ?? [];
    const delayMs = Math.min(Number(count) * (unit === 's' ? 1000 : 1), longestDelayMs);
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    const asked = Number(searchParams.get('status') ?? 200);
    const status = Number.isInteger(asked) && asked >= 200 && asked <= 599 ? asked : 400;
    const size = Math.min(Number(searchParams.get('size') ?? 0) || 0, 1024 * 1024);
    const text =
      pathname === '/debug'
        ? `${incoming.method} ${incoming.url} HTTP/${incoming.httpVersion}\n${Object.entries(incoming.headers)
            .map(([name, value]) => `${name}: ${value}`)
            .join('\n')}\n\n`
        : '';
    response
      .writeHead(status, { 'content-type': incoming.headers['content-type'] ?? 'text/plain' })
      .end(size > 0 ? Buffer.alloc(size, 'x') : Buffer.concat([Buffer.from(text), ...chunks]));
  });
}
