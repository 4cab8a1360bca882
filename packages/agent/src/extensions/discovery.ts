import { GrpcError } from '@istio-ts/envoy/grpc/status';
import { decodeDiscoveryResponse, encodeDiscoveryRequest, type NodeDescription } from '../discovery/messages.ts';
import type { GrpcCall, GrpcHandler } from '../http2/grpc-server.ts';
import { openStream, type StreamClient } from '../http2/stream-client.ts';
import type { Logger } from '../log.ts';
import { encode, message, nested, text } from '../protobuf.ts';
import { decodeDiscoveryRequest } from '../sds/messages.ts';
import { EXTENSION_TYPE, readModuleRequest, withModuleFile, withoutModule } from './module-request.ts';
import type { ModuleCounters } from './module-counters.ts';
import type { ModuleStore } from './module-store.ts';
import { textAt } from './wire-path.ts';

const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
const MAX_NAMES = 1000;
const FIRST_RETRY_MS = 200;
const MAX_RETRY_MS = 10_000;
const FIRST_FETCH_RETRY_MS = 1000;
const MAX_FETCH_RETRY_MS = 300_000;

export interface ExtensionDiscoveryOptions {
  /** Unix socket that leads to the control plane. */
  readonly socketFile: string;
  readonly node: NodeDescription;
  readonly modules: ModuleStore;
  readonly counters: ModuleCounters;
  /** Milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
}

/** What Envoy gets of one resource, and what it was made of. */
interface Extension {
  readonly source: Buffer;
  ready: Buffer | undefined;
  /** What is ready only stands for a module that is missing. */
  isSubstitute: boolean;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Stands between Envoy and the control plane where filters need modules that are somewhere else: asks istiod for their configuration, fetches the
 * modules, and gives Envoy the configuration with files. While a module cannot be had its filter admits everything or nothing, as its failStrategy says,
 * and it is tried again. Nothing is asked before Envoy asks.
 */
export class ExtensionDiscovery {
  readonly #options: ExtensionDiscoveryOptions;
  readonly #wanted = new Map<string, Set<() => void>>();
  readonly #extensions = new Map<string, Extension>();
  #stream: StreamClient | undefined;
  #first = true;
  #acknowledged = { version: '', nonce: '' };
  #retryMs = FIRST_RETRY_MS;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #sent = 0;

  constructor(options: ExtensionDiscoveryOptions) {
    this.#options = options;
  }

  /** Serves one stream of Envoy. */
  serve(call: GrpcCall): GrpcHandler {
    const names = new Set<string>();
    const send = (): void => {
      const ready = [...names].flatMap((name) => this.#extensions.get(name)?.ready ?? []);
      if (ready.length > 0) call.send(encodeResponse(String(++this.#sent), ready));
    };
    const forget = (name: string): void => {
      names.delete(name);
      const listeners = this.#wanted.get(name);
      listeners?.delete(send);
      if (listeners?.size === 0) this.#drop(name);
    };
    return {
      message: (bytes) => {
        const request = decodeDiscoveryRequest(bytes);
        if (request.typeUrl !== '' && request.typeUrl !== EXTENSION_TYPE)
          throw new GrpcError('INVALID_ARGUMENT', `only extensions are served here, not ${request.typeUrl}`);
        if (request.error !== undefined)
          this.#options.log.warn('Envoy refused an extension', { names: [...names].join(','), reason: request.error });
        if (request.names.length > MAX_NAMES) throw new GrpcError('RESOURCE_EXHAUSTED', `more than ${MAX_NAMES} names`);
        for (const name of [...names]) if (!request.names.includes(name)) forget(name);
        const fresh = request.names.filter((name) => !names.has(name));
        if (fresh.length === 0) return;
        for (const name of fresh) {
          names.add(name);
          const listeners = this.#wanted.get(name) ?? new Set();
          listeners.add(send);
          this.#wanted.set(name, listeners);
        }
        send();
        this.#ask();
      },
      end: () => call.finish(),
      close: () => {
        for (const name of [...names]) forget(name);
      },
    };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { timer } of this.#extensions.values()) clearTimeout(timer);
    this.#stream?.close();
  }

  #drop(name: string): void {
    this.#wanted.delete(name);
    clearTimeout(this.#extensions.get(name)?.timer);
    this.#extensions.delete(name);
  }

  #ask(): void {
    if (this.#closed || this.#wanted.size === 0) return;
    if (this.#stream === undefined) {
      if (this.#timer === undefined) this.#open();
      return;
    }
    this.#request();
  }

  #request(error?: string): void {
    this.#stream?.send(
      encodeDiscoveryRequest({
        ...(this.#first && { node: this.#options.node }),
        typeUrl: EXTENSION_TYPE,
        names: [...this.#wanted.keys()],
        ...this.#acknowledged,
        ...(error !== undefined && { error: { code: 3, message: error } }),
      }),
    );
    this.#first = false;
  }

  #open(): void {
    this.#timer = undefined;
    this.#first = true;
    this.#acknowledged = { version: '', nonce: '' };
    this.#stream = openStream({
      socketFile: this.#options.socketFile,
      path: ADS,
      onOpen: () => this.#request(),
      onMessage: (bytes) => {
        this.#retryMs = FIRST_RETRY_MS;
        const response = decodeDiscoveryResponse(bytes);
        if (response.typeUrl !== EXTENSION_TYPE) return;
        this.#acknowledged = { version: response.version, nonce: response.nonce };
        let problem: string | undefined;
        for (const resource of response.resources) {
          try {
            this.#take(resource);
          } catch (error) {
            problem = error instanceof Error ? error.message : String(error);
          }
        }
        this.#request(problem);
      },
      onEnd: (reason) => {
        this.#stream = undefined;
        if (this.#closed) return;
        this.#options.log.debug('the stream for extensions has ended and is opened again', { reason });
        this.#timer = setTimeout(() => {
          this.#timer = undefined;
          this.#ask();
        }, this.#retryMs);
        this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2);
      },
    });
  }

  /** Raises DecodeError. */
  #take(source: Buffer): void {
    const name = textAt(source, [1]);
    if (!this.#wanted.has(name)) return;
    const before = this.#extensions.get(name);
    if (before?.source.equals(source)) return;
    const request = readModuleRequest(source);
    clearTimeout(before?.timer);
    // What there was serves until the new module is there.
    const ready = before?.isSubstitute ? undefined : before?.ready;
    const extension: Extension = { source, ready, isSubstitute: false, timer: undefined };
    this.#extensions.set(name, extension);
    if (request === undefined) {
      this.#publish(name, extension, source);
      return;
    }
    let retryMs = FIRST_FETCH_RETRY_MS;
    const { counters, now } = this.#options;
    const fetch = async (): Promise<void> => {
      const begun = now();
      try {
        const file = await this.#options.modules.file(request);
        this.#options.log.info('module is there', { name, url: request.url, file });
        counters.converted(true, now() - begun);
        this.#publish(name, extension, withModuleFile(source, file));
      } catch (error) {
        counters.converted(false, now() - begun);
        this.#options.log.error('a module cannot be fetched', {
          name,
          url: request.url,
          error: error instanceof Error ? error.message : String(error),
          traffic:
            extension.ready !== undefined && !extension.isSubstitute
              ? 'unchanged'
              : request.failOpen
                ? 'admitted'
                : 'refused',
        });
        if (extension.ready === undefined) {
          this.#publish(name, extension, withoutModule(source, request));
          extension.isSubstitute = true;
        }
        if (this.#closed || this.#extensions.get(name) !== extension) return;
        extension.timer = setTimeout(() => void fetch(), retryMs);
        retryMs = Math.min(MAX_FETCH_RETRY_MS, retryMs * 2);
      }
    };
    void fetch();
  }

  #publish(name: string, extension: Extension, ready: Buffer): void {
    if (this.#extensions.get(name) !== extension) return;
    extension.ready = ready;
    extension.isSubstitute = false;
    for (const send of this.#wanted.get(name) ?? []) send();
  }
}

function encodeResponse(version: string, resources: readonly Buffer[]): Buffer {
  return encode(
    message(
      text(1, version),
      ...resources.map((resource) =>
        nested(
          2,
          message(
            text(1, EXTENSION_TYPE),
            nested(2, (writer) => writer.bytes(resource)),
          ),
        ),
      ),
      text(4, EXTENSION_TYPE),
      text(5, version),
    ),
  );
}
