import { createServer } from 'node:http';
import type { MetricsRegistry } from '@istio-ts/metrics';

/** Serves `/metrics`, `/healthz` (the process lives) and `/readyz` (it can work: `notReady` says why not). Resolves when it listens. */
export async function serveMonitoring(options: {
  readonly host: string;
  readonly port: number;
  readonly metrics: MetricsRegistry;
  readonly notReady: () => string | undefined;
}): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const server = createServer(
    { headersTimeout: 5000, requestTimeout: 5000, keepAliveTimeout: 5000 },
    (request, response) => {
      const path = (request.url ?? '/').split('?')[0];
      const answer = (status: number, body: string, type = 'text/plain; charset=utf-8') =>
        response.writeHead(status, { 'content-type': type }).end(body);
      if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, 'GET only\n');
      switch (path) {
        case '/metrics':
          return answer(200, options.metrics.text(), 'text/plain; version=0.0.4; charset=utf-8');
        case '/healthz':
          return answer(200, 'ok\n');
        case '/readyz': {
          const reason = options.notReady();
          return reason === undefined ? answer(200, 'ok\n') : answer(503, `${reason}\n`);
        }
        default:
          return answer(404, 'there are /metrics, /healthz and /readyz\n');
      }
    },
  );
  server.maxConnections = 100;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
