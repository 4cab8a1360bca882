import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { decide } from './decision.ts';
import { readCheck, writeDecision } from './messages.ts';

/** A check with its body is not larger. */
const longestCheck = 1024 * 1024;

async function bytesOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > longestCheck) throw new RangeError(`a check may have ${longestCheck} bytes at most`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const headersOf = (request: IncomingMessage): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(',') : (value ?? ''),
    ]),
  );

/** Checks over HTTP: the request to be checked with its own method, path and headers; the answer is 200, or what the client gets. */
export const httpChecks = (allowedAccount: string): Server =>
  createHttpServer((request, response) => {
    void (async () => {
      const headers = headersOf(request);
      const forwarded = headers['x-forwarded-client-cert'] ?? '';
      const decision = decide(
        {
          method: request.method ?? '',
          path: request.url ?? '',
          host: headers.host ?? '',
          headers,
          principal: /URI=([^;,]*)/.exec(forwarded)?.[1] ?? '',
          body: (await bytesOf(request)).toString('utf8'),
        },
        allowedAccount,
      );
      console.log(`HTTP ${decision.allowed ? 'allowed' : 'denied'}: ${request.method} ${headers.host}${request.url}`);
      response.writeHead(decision.allowed ? 200 : 403, decision.headers).end(decision.body);
    })().catch((error: unknown) => {
      console.error('HTTP: a check failed:', error);
      response.destroy();
    });
  });

async function answer(stream: ServerHttp2Stream, path: string, allowedAccount: string): Promise<void> {
  // Before the answer ends, the stream wants its trailers.
  const end = (status: number, message: string, data?: Buffer) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'grpc-status': String(status), ...(message && { 'grpc-message': message }) }),
    );
    stream.end(data);
  };
  if (path !== '/envoy.service.auth.v3.Authorization/Check') return end(12, `there is no method ${path}`);
  const sent = await bytesOf(stream as AsyncIterable<Buffer>);
  // A message of gRPC: one byte about compression, four of its length.
  if (sent.length < 5 || sent[0] !== 0 || sent.readUInt32BE(1) !== sent.length - 5)
    return end(3, 'a call has one message that is not compressed');
  const check = readCheck(sent.subarray(5));
  const decision = decide(check, allowedAccount);
  console.log(`gRPC ${decision.allowed ? 'allowed' : 'denied'}: ${check.method} ${check.host}${check.path}`);
  const message = writeDecision(decision);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  end(0, '', Buffer.concat([head, message]));
}

/** Checks over gRPC: `envoy.service.auth.v3.Authorization/Check`. */
export const grpcChecks = (allowedAccount: string): Http2Server => {
  const server = createHttp2Server();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => stream.destroy());
    answer(stream, String(headers[':path']), allowedAccount).catch((error: unknown) => {
      console.error('gRPC: a check failed:', error);
      stream.destroy();
    });
  });
  return server;
};
