import { retryDelay } from '../certificates/rotation.ts';
import { decodeDiscoveryResponse, encodeDiscoveryRequest, type NodeDescription } from '../discovery/messages.ts';
import { openStream, type StreamClient } from '../http2/stream-client.ts';
import type { Logger } from '../log.ts';
import { SECRET_TYPE } from './messages.ts';
import { readSecret } from './secret-reader.ts';
import type { SecretStore } from './store.ts';

/** Names that are asked for on the other program's behalf. */
const MOST_NAMES = 1000;

export interface ForeignSecretsOptions {
  /** Unix socket of a program of the node that serves secrets (SPIFFE: a SPIRE agent). */
  readonly socketFile: string;
  readonly node: NodeDescription;
  readonly store: SecretStore;
  readonly log: Logger;
}

/**
 * Keeps secrets of the store equal to those that another program serves by Envoy's secret discovery: the workload's key and certificate, the trust
 * anchors, and what else Envoy asks for. What was received stays while the program is away. The agent asks, not Envoy, so that applications get files and
 * the control plane is reached with the same certificate; both are processes of one container, which is what such programs attest.
 */
export class ForeignSecrets {
  readonly #options: ForeignSecretsOptions;
  readonly #streams = new Map<string, { stream?: StreamClient; timer?: NodeJS.Timeout }>();
  #closed = false;
  /** Last failure, for the readiness probe's text. */
  problem: string | undefined;

  constructor(options: ForeignSecretsOptions) {
    this.#options = options;
  }

  want(name: string): void {
    if (this.#streams.has(name) || this.#closed) return;
    if (this.#streams.size >= MOST_NAMES) {
      this.#options.log.warn('no more secrets are asked for', { name, limit: MOST_NAMES });
      return;
    }
    this.#streams.set(name, {});
    this.#open(name, 1);
  }

  /** A stream for each name, as Envoy itself opens them. */
  #open(name: string, attempt: number): void {
    const { socketFile, node, store, log } = this.#options;
    const entry = this.#streams.get(name);
    if (this.#closed || entry === undefined) return;
    let hadAnswer = false;
    const send = (request: Omit<Parameters<typeof encodeDiscoveryRequest>[0], 'typeUrl' | 'names'>): void =>
      stream.send(encodeDiscoveryRequest({ ...request, typeUrl: SECRET_TYPE, names: [name] }));
    const stream = openStream({
      socketFile,
      path: '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets',
      onOpen: () => send({ node }),
      onMessage: (bytes) => {
        const { version, nonce, resources } = decodeDiscoveryResponse(bytes);
        for (const resource of resources) {
          const secret = readSecret(resource);
          if (secret.name === name) store.put(name, secret.value);
        }
        hadAnswer = true;
        this.problem = undefined;
        send({ version, nonce });
      },
      onEnd: (reason) => {
        if (this.#closed) return;
        this.problem = `the program that serves secrets on ${socketFile} does not give ${name}: ${reason}`;
        const next = hadAnswer ? 1 : attempt + 1;
        log.warn('secrets of another program are asked for again', { name, reason });
        entry.timer = setTimeout(() => this.#open(name, next), retryDelay(next, Math.random()));
      },
    });
    entry.stream = stream;
  }

  close(): void {
    this.#closed = true;
    for (const { stream, timer } of this.#streams.values()) {
      stream?.close();
      clearTimeout(timer);
    }
  }
}
