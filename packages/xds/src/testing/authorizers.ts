import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CheckRequest, type CheckResponse, decode, encode } from '@istio-ts/envoy';
import { createGrpcServer } from '@istio-ts/envoy/grpc';

/** A check as an authoriser over HTTP saw it. */
export interface HttpCheck {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface HttpAuthorizer {
  readonly checks: HttpCheck[];
  close(): Promise<void>;
}

export interface HttpVerdict {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Milliseconds to wait before the answer. */
  readonly delay?: number;
}

/** A small external authoriser over HTTP that decides by a function. */
export async function startHttpAuthorizer(
  address: string,
  port: number,
  decide: (check: HttpCheck) => HttpVerdict,
): Promise<HttpAuthorizer> {
  const checks: HttpCheck[] = [];
  const server = createServer((incoming, outgoing) => {
    let body = '';
    incoming.on('data', (chunk: Buffer) => (body += chunk.toString()));
    incoming.on('end', () => {
      const check = { method: incoming.method ?? '', path: incoming.url ?? '', headers: incoming.headers, body };
      checks.push(check);
      const verdict = decide(check);
      setTimeout(() => {
        outgoing.writeHead(verdict.status, verdict.headers).end(verdict.body ?? '');
      }, verdict.delay ?? 0);
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve));
  return {
    checks,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** A check as an authoriser over gRPC saw it, with the name under which it was called. */
export interface GrpcCheck {
  readonly request: CheckRequest;
  readonly authority: string;
}

export interface GrpcAuthorizer {
  readonly checks: GrpcCheck[];
  close(): Promise<void>;
}

/** The same over gRPC (envoy.service.auth.v3.Authorization). */
export async function startGrpcAuthorizer(
  host: string,
  port: number,
  decide: (check: CheckRequest) => Promise<CheckResponse> | CheckResponse,
): Promise<GrpcAuthorizer> {
  const checks: GrpcCheck[] = [];
  const server = createGrpcServer({
    methods: {
      '/envoy.service.auth.v3.Authorization/Check': {
        kind: 'unary',
        handle: async (bytes, call) => {
          const request = decode('envoy.service.auth.v3.CheckRequest', bytes);
          checks.push({ request, authority: String(call.metadata[':authority']) });
          return encode('envoy.service.auth.v3.CheckResponse', await decide(request));
        },
      },
    },
  });
  (await server.listen({ host, port })) as AddressInfo;
  return { checks, close: () => server.close(0) };
}
