import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { createGrpcServer } from '@istio-ts/envoy/grpc/server';
import type { ServerCall } from '@istio-ts/envoy/grpc/server';
import { GrpcError } from '@istio-ts/envoy/grpc/status';
import type { Logger } from '../log.ts';
import {
  decodeDeltaRequest,
  decodeDiscoveryRequest,
  encodeDeltaResponse,
  encodeDiscoveryResponse,
  SECRET_TYPE,
} from './messages.ts';
import type { NamedSecret, SecretRequest } from './messages.ts';
import type { SecretStore } from './store.ts';

/** Names one stream may ask for; Envoy uses a stream per secret. */
const MAX_NAMES = 1000;

export interface SdsServerOptions {
  readonly socketFile: string;
  readonly store: SecretStore;
  /** Called for a name before it is looked up: lets file secrets be loaded and watched. */
  readonly want: (name: string) => void;
  readonly log: Logger;
}

export interface SdsServer {
  close(): Promise<void>;
}

/** Envoy's secret discovery service on a Unix socket that only this user can open. Rejects when the socket cannot be made. */
export async function startSdsServer(options: SdsServerOptions): Promise<SdsServer> {
  const server = createGrpcServer({
    methods: {
      '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets': {
        kind: 'stream',
        handle: (call) => serveSecrets(call, options, WORLD),
      },
      '/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets': {
        kind: 'stream',
        handle: (call) => serveSecrets(call, options, DELTA),
      },
      '/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets': {
        kind: 'unary',
        handle: (request) => fetchSecrets(request, options),
      },
    },
    maxReceiveBytes: 1 << 20,
    maxStreams: 10_000,
    maxConnections: 100,
    onError: (error, path) => options.log.error('secret discovery failed', { path, error: String(error) }),
  });
  mkdirSync(dirname(options.socketFile), { recursive: true });
  rmSync(options.socketFile, { force: true });
  await server.listen({ path: options.socketFile });
  chmodSync(options.socketFile, 0o600);
  options.log.info('secret discovery service is listening', { socket: options.socketFile });
  return { close: () => server.close(100) };
}

interface Protocol {
  readonly decode: (bytes: Buffer) => SecretRequest;
  readonly encode: (version: string, nonce: string, secrets: readonly NamedSecret[]) => Buffer;
  /** State of the world: a request names everything wanted; delta: it adds and removes. */
  readonly delta: boolean;
}

const WORLD: Protocol = { decode: decodeDiscoveryRequest, encode: encodeDiscoveryResponse, delta: false };
const DELTA: Protocol = { decode: decodeDeltaRequest, encode: encodeDeltaResponse, delta: true };

function check(request: SecretRequest): void {
  if (request.typeUrl !== '' && request.typeUrl !== SECRET_TYPE)
    throw new GrpcError('INVALID_ARGUMENT', `only secrets are served here, not ${request.typeUrl}`);
}

/**
 * One stream. A secret is sent when it is first asked for and it is there, and again whenever it changes; one that is not
 * there yet is sent when it comes. Acknowledgements need no answer.
 */
async function serveSecrets(call: ServerCall, options: SdsServerOptions, protocol: Protocol): Promise<void> {
  const { store, log } = options;
  const wanted = new Map<string, string>();
  let sent = 0;
  const send = (names: readonly string[]): void => {
    const secrets = names.map((name) => store.get(name)).filter((entry): entry is NamedSecret => entry !== undefined);
    if (secrets.length === 0) return;
    for (const entry of secrets) wanted.set(entry.name, entry.version);
    const version = String(Math.max(...secrets.map((entry) => Number(entry.version))));
    sent++;
    call.write(protocol.encode(version, String(sent), secrets)).catch(() => undefined);
  };
  const unsubscribe = store.subscribe((name) => {
    if (wanted.has(name)) send(protocol.delta ? [name] : [...wanted.keys()]);
  });
  try {
    for await (const bytes of call.messages()) {
      const request = protocol.decode(bytes);
      check(request);
      if (request.error !== undefined)
        log.warn('Envoy refused a secret', { names: [...wanted.keys()].join(','), reason: request.error });
      if (!protocol.delta)
        for (const name of [...wanted.keys()])
          if (request.names.length > 0 && !request.names.includes(name)) wanted.delete(name);
      for (const name of request.unsubscribe) wanted.delete(name);
      const fresh = request.names.filter((name) => !wanted.has(name));
      if (wanted.size + fresh.length > MAX_NAMES)
        throw new GrpcError('RESOURCE_EXHAUSTED', `more than ${MAX_NAMES} secrets on one stream`);
      for (const name of fresh) {
        wanted.set(name, '');
        options.want(name);
      }
      // After a lost stream the client names the version it has; it gets the secret anyway, which costs little and cures all doubt.
      if (fresh.length > 0) send(protocol.delta ? fresh : [...wanted.keys()]);
    }
  } finally {
    unsubscribe();
  }
}

function fetchSecrets(bytes: Buffer, options: SdsServerOptions): Buffer {
  const request = decodeDiscoveryRequest(bytes);
  check(request);
  const secrets = request.names.slice(0, MAX_NAMES).flatMap((name) => {
    options.want(name);
    const entry = options.store.get(name);
    return entry === undefined ? [] : [entry];
  });
  if (secrets.length === 0) throw new GrpcError('UNAVAILABLE', `no secret ${request.names.join(', ')} yet`);
  return encodeDiscoveryResponse('1', '1', secrets);
}
