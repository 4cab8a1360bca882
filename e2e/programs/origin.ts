import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { hostname } from 'node:os';

/**
 * The server of the traffic tests, run in pods: every protocol on a port of its own, each answer says which pod gave it.
 * 8080 HTTP, 8081 gRPC, 8443 HTTPS (with certificate files only), 9000 TCP echo, 9001 TCP where the server speaks first.
 */
const version = process.env.VERSION ?? '';
const pod = hostname();
/** Status of `/health`, changed by `/health?set=503`. */
let health = 200;
const seen: { readonly host: string; readonly url: string; readonly attempt: string }[] = [];

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://origin');
  const ask = url.searchParams;
  if (url.pathname === '/health') {
    health = Number(ask.get('set') ?? health);
    response.statusCode = ask.has('set') ? 200 : health;
    response.end(`${health}`);
    return;
  }
  if (url.pathname === '/seen') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(seen.filter((one) => one.url.includes(ask.get('like') ?? ''))));
    return;
  }
  seen.push({
    host: request.headers.host ?? '',
    url: request.url ?? '',
    attempt: String(request.headers['x-envoy-attempt-count'] ?? ''),
  });
  let bytes = 0;
  request.on('data', (chunk: Buffer) => (bytes += chunk.length));
  request.on('end', () => {
    const failing = ask.get('fail') === version || ask.get('fail') === pod;
    const send = () => {
      response.statusCode = failing ? 503 : Number(ask.get('status') ?? 200);
      response.setHeader('x-pod', pod);
      response.setHeader('x-version', version);
      if (ask.has('bytes')) {
        response.end(Buffer.alloc(Number(ask.get('bytes')), 'x'));
        return;
      }
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          pod,
          version,
          method: request.method,
          url: request.url,
          http: request.httpVersion,
          headers: request.headers,
          bytes,
        }),
      );
    };
    const delay = Number(ask.get('delay') ?? 0);
    if (delay > 0) setTimeout(send, delay);
    else send();
  });
}

const web = createServer(answer);
// After the upgrade the connection carries bytes: they come back as they are.
web.on('upgrade', (_request, socket, head: Buffer) => {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nx-pod: ${pod}\r\n\r\n`,
  );
  socket.write(head);
  socket.on('error', () => socket.destroy());
  socket.pipe(socket);
});
// The proxy in front ends idle connections: if both did, its next request could meet the end of one.
web.keepAliveTimeout = 0;
web.listen(8080);

const grpc = createHttp2Server();
grpc.on('stream', (stream) => {
  stream.on('error', () => stream.close());
  stream.resume();
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'x-pod': pod }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    // One message without fields: not compressed, length 0.
    stream.end(Buffer.from([0, 0, 0, 0, 0]));
  });
});
grpc.listen(8081);

if (existsSync('/etc/origin/tls.crt')) {
  const pair = { cert: readFileSync('/etc/origin/tls.crt'), key: readFileSync('/etc/origin/tls.key') };
  // Where there is an authority, clients have to show a certificate that it signed.
  const authority = existsSync('/etc/origin/ca.crt') ? readFileSync('/etc/origin/ca.crt') : undefined;
  const clients = authority ? { ca: authority, requestCert: true, rejectUnauthorized: true } : {};
  createHttpsServer({ ...pair, ...clients }, answer).listen(8443);
}

createTcpServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => socket.write(`${version} ${pod} ${chunk.toString()}`));
  socket.on('end', () => socket.end());
}).listen(9000);

createTcpServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.write(`220 ${version} ready\n`);
  socket.on('data', (chunk: Buffer) => socket.write(`250 ${chunk.toString()}`));
}).listen(9001);

process.on('SIGTERM', () => {
  web.close(() => process.exit(0));
  web.closeIdleConnections();
});
