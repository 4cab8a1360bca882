import {
  Client,
  credentials,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import { type Contract, definitionOf, type ServiceName } from './contract.ts';
import { log } from './log.ts';
import { currentTrace, withTrace } from './trace.ts';

type Handlers<S extends ServiceName> = {
  readonly [M in keyof Contract[S]]: (
    request: Contract[S][M] extends [infer Q, unknown] ? Q : never,
  ) => Promise<Contract[S][M] extends [unknown, infer R] ? R : never>;
};

/** An error with a gRPC status for the caller. */
export class RpcError extends Error {
  readonly code: status;
  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

const callTimeoutMs = 15_000;

// grpc.health.v1: `service` in, `status` (1 = SERVING) out; small enough to be written by hand.
const health: ServiceDefinition = Object.fromEntries(
  [
    { name: 'Check', stream: false },
    { name: 'Watch', stream: true },
  ].map(({ name, stream }) => [
    name,
    {
      path: `/grpc.health.v1.Health/${name}`,
      requestStream: false,
      responseStream: stream,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: (bytes: Buffer) => bytes,
      responseSerialize: (serving: number) => Buffer.from([8, serving]),
      responseDeserialize: (bytes: Buffer) => bytes,
    },
  ]),
);

/** Serves one service of the contract and gRPC health on `port` until SIGTERM, then ends what is under way. Resolves with the port when it listens. */
export async function serve<S extends ServiceName>(
  service: S,
  port: number,
  handlers: Handlers<S>,
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const server = new Server();
  const implementation: Record<string, handleUnaryCall<object, object>> = {};
  for (const [method, handler] of Object.entries(handlers) as [string, (request: object) => Promise<object>][]) {
    implementation[method] = (call, callback) => {
      const read = (header: string) => call.metadata.get(header)[0]?.toString();
      withTrace(read, () => handler(call.request)).then(
        (response) => callback(null, response),
        (error: Error) => {
          const code = error instanceof RpcError ? error.code : status.INTERNAL;
          log('error', `${service}/${method} failed: ${error.message}`);
          callback({ code, message: error.message });
        },
      );
    };
  }
  server.addService(definitionOf(service) as unknown as ServiceDefinition, implementation);
  server.addService(health, {
    Check: (_call: unknown, callback: (error: null, serving: number) => void) => callback(null, 1),
    Watch: (call: { write: (serving: number) => void }) => call.write(1),
  });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`0.0.0.0:${port}`, ServerCredentials.createInsecure(), (error, actual) =>
      error ? reject(error) : resolve(actual),
    );
  });
  log('info', `${service} listens on port ${bound}`);
  const close = () => new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  process.once('SIGTERM', () => void close().then(() => process.exit(0)));
  return { port: bound, close };
}

/** A client of one service at `address` (host:port); its methods reject with the server's message. */
export function connect<S extends ServiceName>(service: S, address: string): Handlers<S> {
  const definition = definitionOf(service);
  // Services start in any order and restart: look again soon, not after minutes.
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.initial_reconnect_backoff_ms': 200,
    'grpc.max_reconnect_backoff_ms': 2000,
  });
  const calls = Object.entries(definition).map(([method, { path, requestSerialize, responseDeserialize }]) => [
    method,
    (request: object) =>
      new Promise<object>((resolve, reject) => {
        const metadata = new Metadata();
        for (const [header, value] of Object.entries(currentTrace())) metadata.set(header, value);
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          metadata,
          { deadline: Date.now() + callTimeoutMs },
          (error, response) => {
            if (error)
              reject(new RpcError(error.code, `${service}/${method} at ${address}: ${error.details || error.message}`));
            else resolve(response ?? {});
          },
        );
      }),
  ]);
  return Object.fromEntries(calls) as Handlers<S>;
}
