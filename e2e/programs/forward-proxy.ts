// An HTTP proxy as companies have them at their border: it opens a connection to wherever CONNECT asks and passes on bytes.
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';

const server = createServer((_request, response) => {
  response.writeHead(405);
  response.end('this proxy takes CONNECT only\n');
});
server.on('connect', (request, client: Socket, head: Buffer) => {
  const { hostname, port } = new URL(`http://${request.url ?? ''}`);
  const upstream = connect(Number(port), hostname, () => {
    client.write('HTTP/1.1 200 Connection established\r\nvia: border\r\n\r\n');
    upstream.write(head);
    upstream.pipe(client);
    client.pipe(upstream);
  });
  upstream.on('error', () => client.destroy());
  client.on('error', () => upstream.destroy());
});
server.listen(3128);
