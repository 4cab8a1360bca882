import { createServer } from 'node:http';
import { hostname } from 'node:os';

/** Says which version and which pod answered. */
const version = process.env.SERVICE_VERSION ?? process.env.VERSION ?? 'unknown';
const port = Number(process.env.PORT ?? '5000');

// The proxy in front ends idle connections: if both did, its next request could meet the end of one.
const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
  const path = (request.url ?? '/').split('?')[0];
  if (path === '/hello')
    response
      .writeHead(200, { 'content-type': 'text/plain' })
      .end(`Hello version: ${version}, instance: ${hostname()}\n`);
  else if (path === '/health') response.writeHead(200, { 'content-type': 'text/plain' }).end('Helloworld is healthy\n');
  else response.writeHead(404, { 'content-type': 'text/plain' }).end(`there is no page ${path}: try /hello\n`);
});
server.listen(port, '0.0.0.0', () => console.log(`helloworld ${version} listens on port ${port}`));
process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
