import { createServer, type Server } from 'node:http';

/** Answers by path: a status and a text, or undefined for 404. */
export type Route = (path: string) => { readonly status: number; readonly text: string } | undefined;

/** Serves small texts over HTTP, with few connections at a time and little patience: the port is open to the node's network. Rejects when it cannot be opened. */
export async function serveHttp(port: number, route: Route): Promise<Server> {
  const limits = { headersTimeout: 5000, requestTimeout: 5000, keepAliveTimeout: 5000 };
  const server = createServer(limits, (request, response) => {
    const found = route((request.url ?? '/').split('?')[0] ?? '/') ?? { status: 404, text: 'not found\n' };
    response.writeHead(found.status, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(found.text);
  });
  server.maxConnections = 100;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, resolve);
  await promise;
  return server;
}
