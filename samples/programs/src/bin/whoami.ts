import { createServer } from 'node:http';
import { hostname, networkInterfaces } from 'node:os';

/** Answers every request with what arrived and with who answered: the service of the traffic tutorials. */
const portFlag = process.argv.indexOf('--port');
const port = Number((portFlag >= 0 ? process.argv[portFlag + 1] : undefined) ?? process.env.WHOAMI_PORT_NUMBER ?? '80');
const name = process.env.WHOAMI_NAME;

function addresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}

function description(request: {
  readonly method?: string;
  readonly url?: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
  readonly remote: string;
}): string {
  const headers = request.rawHeaders.flatMap((value, index) =>
    index % 2 === 0 ? [`${value}: ${request.rawHeaders[index + 1] ?? ''}`] : [],
  );
  const lines = [
    ...(name ? [`Name: ${name}`] : []),
    `Hostname: ${hostname()}`,
    ...(process.env.VERSION ? [`Version: ${process.env.VERSION}`] : []),
    ...addresses().map((address) => `IP: ${address}`),
    `RemoteAddr: ${request.remote}`,
    `${request.method} ${request.url} HTTP/${request.httpVersion}`,
    ...headers,
  ];
  return `${lines.join('\n')}\n\n`;
}

// The proxy in front ends idle connections: if both did, its next request could meet the end of one.
const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
  const url = new URL(request.url ?? '/', 'http://whoami');
  const waitMs = Math.min(
    Number.parseFloat(url.searchParams.get('wait') ?? '0') *
      (url.searchParams.get('wait')?.endsWith('ms') ? 1 : 1000) || 0,
    60_000,
  );
  const answer = () => {
    if (url.pathname === '/health') return response.writeHead(200).end();
    const remote = `${request.socket.remoteAddress}:${request.socket.remotePort}`;
    if (url.pathname === '/api') {
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([header, value]) => [header, Array.isArray(value) ? value : [value]]),
      );
      const body = {
        hostname: hostname(),
        ip: addresses(),
        headers,
        url: request.url,
        host: request.headers.host,
        method: request.method,
        name,
        remoteAddr: remote,
      };
      return response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
    }
    return response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(
      description({
        method: request.method ?? '',
        url: request.url ?? '',
        httpVersion: request.httpVersion,
        rawHeaders: request.rawHeaders,
        remote,
      }),
    );
  };
  if (waitMs > 0) setTimeout(answer, waitMs);
  else answer();
});
server.listen(port, '0.0.0.0', () => console.log(`whoami listens on port ${port}`));
process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
