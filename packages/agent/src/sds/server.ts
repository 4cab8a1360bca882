import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { GrpcError } from '@istio-ts/envoy/grpc/status';
import { createSmallGrpcServer } from '../http2/grpc-server.ts';
import type { GrpcCall, GrpcHandler } from '../http2/grpc-server.ts';
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
const SERVICE = '/envoy.service.secret.v3.SecretDiscoveryService';

export interface SdsServerOptions {
  readonly socketFile: string;
  readonly store: SecretStore;
  /** Called for a name before it is looked up: lets file secrets be loaded and watched. */
  readonly want: (name: string) => void;
  /** Serves other calls of Envoy on the same socket; undefined for those that it does not know. */
  readonly more?: (path: string, call: GrpcCall) => GrpcHandler | undefined;
  readonly log: Logger;
}

export interface SdsServer {
  close(): Promise<void>;
}

/** Envoy's secret discovery service on a Unix socket that only this user can open. Rejects when the socket cannot be made. */
export async function startSdsServer(options: SdsServerOptions): Promise<SdsServer> {
  const server = createSmallGrpcServer({
    open: (path, call) => {
      switch (path) {
        case `${SERVICE}/StreamSecrets`:
          return serveSecrets(call, options, WORLD);
        case `${SERVICE}/DeltaSecrets`:
          return serveSecrets(call, options, DELTA);
        case `${SERVICE}/FetchSecrets`:
          return fetchSecrets(call, options);
        default:
          return options.more?.(path, call);
      }
    },
    onError: (error) => options.log.error('secret discovery failed', { error: String(error) }),
  });
  mkdirSync(dirname(options.socketFile), { recursive: true });
  rmSync(options.socketFile, { force: true });
  await server.listen(options.socketFile);
  chmodSync(options.socketFile, 0o600);
  options.log.info('secret discovery service is listening', { socket: options.socketFile });
  return server;
}

interface Protocol {
  readonly decode: (bytes: Buffer) => SecretRequest;
  readonly encode: (version: string, nonce: string, secrets: readonly NamedSecret[]) => Buffer;
  /** State of the world: a request names everything wanted; delta: it adds and removes. */
  readonly delta: boolean;
}

const WORLD: Protocol = { decode: decodeDiscoveryRequest, encode: encodeDiscoveryResponse, delta: false };
const DELTA: Protocol = { decode: decodeDeltaRequest, encode: encodeDeltaResponse, delta: true };

/**
 * One stream. A secret is sent when it is first asked for and it is there, and again whenever it changes; one that is not
 * there yet is sent when it comes. Acknowledgements need no answer.
 */
function serveSecrets(call: GrpcCall, options: SdsServerOptions, protocol: Protocol): GrpcHandler {
  const { store, log } = options;
  const wanted = new Set<string>();
  let sent = 0;
  const send = (names: readonly string[]): void => {
    const secrets = names.map((name) => store.get(name)).filter((entry): entry is NamedSecret => entry !== undefined);
    if (secrets.length === 0) return;
    const version = String(Math.max(...secrets.map((entry) => Number(entry.version))));
    sent++;
    call.send(protocol.encode(version, String(sent), secrets));
  };
  const unsubscribe = store.subscribe((name) => {
    if (wanted.has(name)) send(protocol.delta ? [name] : [...wanted]);
  });
  return {
    message(bytes) {
      const request = read(protocol.decode, bytes);
      if (request.error !== undefined)
        log.warn('Envoy refused a secret', { names: [...wanted].join(','), reason: request.error });
      if (!protocol.delta && request.names.length > 0) {
        for (const name of [...wanted]) if (!request.names.includes(name)) wanted.delete(name);
      }
      for (const name of request.unsubscribe) wanted.delete(name);
      const fresh = request.names.filter((name) => !wanted.has(name));
      if (wanted.size + fresh.length > MAX_NAMES)
        throw new GrpcError('RESOURCE_EXHAUSTED', `more than ${MAX_NAMES} secrets on one stream`);
      if (fresh.length === 0) return;
      // First the files, then the names: loading must not already answer through the subscription.
      for (const name of fresh) options.want(name);
      for (const name of fresh) wanted.add(name);
      // After a lost stream the client names the version it has; it gets the secret anyway, which costs little and cures all doubt.
      send(protocol.delta ? fresh : [...wanted]);
    },
    end: () => call.finish(),
    close: unsubscribe,
  };
}

function fetchSecrets(call: GrpcCall, options: SdsServerOptions): GrpcHandler {
  return {
    message(bytes) {
      const request = read(decodeDiscoveryRequest, bytes);
      const secrets = request.names.slice(0, MAX_NAMES).flatMap((name) => {
        options.want(name);
        const entry = options.store.get(name);
        return entry === undefined ? [] : [entry];
      });
      if (secrets.length === 0) throw new GrpcError('UNAVAILABLE', `no secret ${request.names.join(', ')} yet`);
      call.send(encodeDiscoveryResponse('1', '1', secrets));
      call.finish();
    },
    end: () => undefined,
    close: () => undefined,
  };
}

function read(decode: (bytes: Buffer) => SecretRequest, bytes: Buffer): SecretRequest {
  let request: SecretRequest;
  try {
    request = decode(bytes);
  } catch (error) {
    throw new GrpcError(
      'INVALID_ARGUMENT',
      `the request is malformed: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (request.typeUrl !== '' && request.typeUrl !== SECRET_TYPE)
    throw new GrpcError('INVALID_ARGUMENT', `only secrets are served here, not ${request.typeUrl}`);
  return request;
}
