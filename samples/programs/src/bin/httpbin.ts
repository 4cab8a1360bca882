import { createServer } from 'node:http';
import { httpbin } from '../httpbin.ts';

const port = Number(process.env.PORT ?? '80');
// The proxy in front ends idle connections: if both did, its next request could meet the end of one.
const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
  // Who asked what, for whom: mirrored requests are told by their host.
  response.once('finish', () =>
    console.log(
      `${request.socket.remoteAddress} ${request.headers.host} "${request.method} ${request.url}" ${response.statusCode}`,
    ),
  );
  httpbin(request, response).catch((error: Error) => {
    if (response.headersSent) response.destroy();
    else
      response
        .writeHead(error instanceof RangeError ? 413 : 500, { 'content-type': 'text/plain' })
        .end(`${error.message}\n`);
  });
});
server.listen(port, '0.0.0.0', () => console.log(`httpbin listens on port ${port}`));
process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
