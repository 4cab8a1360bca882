import { decodeNameTable, NAME_TABLE_TYPE, type NameTable } from '@istio-ts/envoy/name-table';
import { openStream, type StreamClient } from '../http2/stream-client.ts';
import type { Logger } from '../log.ts';
import { decodeDiscoveryResponse, encodeDiscoveryRequest, type NodeDescription } from './messages.ts';

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
/** Under this type an agent tells of its application's health (Istio, WorkloadGroup `probe`). */
export const HEALTH_TYPE = 'type.googleapis.com/istio.v1.HealthInformation';
const FIRST_RETRY_MS = 200;
const MAX_RETRY_MS = 10_000;
const INVALID_ARGUMENT = 3;
const UNHEALTHY = 14;

export interface Health {
  readonly healthy: boolean;
  readonly message: string;
}

export interface DiscoveryClientOptions {
  /** Unix socket of Envoy that leads to the control plane with the workload's certificate. */
  readonly socketFile: string;
  readonly node: NodeDescription;
  /** Called with every table of names; not called means that none is asked for. */
  readonly onNames?: (table: NameTable) => void;
  readonly log: Logger;
}

export interface DiscoveryClient {
  /** Tells the control plane how the application is; repeated on every new connection. */
  report(health: Health): void;
  close(): void;
}

/**
 * The agent's own stream to the control plane, for what concerns it and not Envoy: the names that its DNS proxy answers, and the health of the
 * application. Goes on until closed, whatever happens to the connection.
 */
export function startDiscoveryClient(options: DiscoveryClientOptions): DiscoveryClient {
  const { log, node, onNames } = options;
  let stream: StreamClient | undefined;
  let health: Health | undefined;
  let timer: NodeJS.Timeout | undefined;
  let retryMs = FIRST_RETRY_MS;
  let closed = false;
  let isFirst = true;

  const request = (more: Omit<Parameters<typeof encodeDiscoveryRequest>[0], 'node'>): void => {
    stream?.send(encodeDiscoveryRequest({ ...(isFirst && { node }), ...more }));
    isFirst = false;
  };
  const tell = (state: Health): void =>
    request({
      typeUrl: HEALTH_TYPE,
      ...(!state.healthy && { error: { code: UNHEALTHY, message: state.message || 'the probe failed' } }),
    });
  const open = (): void => {
    isFirst = true;
    stream = openStream({
      socketFile: options.socketFile,
      path: METHOD,
      onOpen: () => {
        if (onNames) request({ typeUrl: NAME_TABLE_TYPE });
        if (health) tell(health);
      },
      onMessage: (bytes) => {
        retryMs = FIRST_RETRY_MS;
        const response = decodeDiscoveryResponse(bytes);
        if (response.typeUrl !== NAME_TABLE_TYPE || !onNames) return;
        const acknowledge = { typeUrl: NAME_TABLE_TYPE, version: response.version, nonce: response.nonce };
        try {
          const [first] = response.resources;
          onNames(first ? decodeNameTable(first) : new Map());
          request(acknowledge);
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          log.warn('a table of names cannot be read; the last one stays', { error: message });
          request({ ...acknowledge, error: { code: INVALID_ARGUMENT, message } });
        }
      },
      onEnd: (reason) => {
        stream = undefined;
        if (closed) return;
        log.debug('the stream to the control plane has ended and is opened again', { reason, retryIn: `${retryMs}ms` });
        timer = setTimeout(open, retryMs);
        retryMs = Math.min(MAX_RETRY_MS, retryMs * 2);
      },
    });
  };
  open();
  return {
    report: (state) => {
      health = state;
      if (stream && !isFirst) tell(state);
      else if (stream && !onNames) tell(state);
    },
    close: () => {
      closed = true;
      clearTimeout(timer);
      stream?.close();
    },
  };
}
