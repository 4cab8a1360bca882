import { decodeDiscoveryResponse, encodeDiscoveryRequest, type NodeDescription } from '../discovery/messages.ts';
import { openStream } from '../http2/stream-client.ts';

const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
export const BOOTSTRAP_TYPE = 'type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap';
const RETRY_MS = 500;

/**
 * What EnvoyFilters add to the bootstrap, as an encoded Bootstrap; undefined where they add nothing. Asks again until there is an answer; rejects after
 * `timeoutMs`.
 */
export function fetchBootstrapAdditions(options: {
  /** Unix socket that leads to the control plane. */
  readonly socketFile: string;
  readonly node: NodeDescription;
  readonly timeoutMs: number;
}): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    let lastReason = 'no answer';
    let stream: { close(): void } | undefined;
    let retry: NodeJS.Timeout | undefined;
    let over = false;
    const end = (settle: () => void): void => {
      over = true;
      clearTimeout(timer);
      clearTimeout(retry);
      stream?.close();
      settle();
    };
    const timer = setTimeout(
      () => end(() => reject(new Error(`the control plane did not answer in time: ${lastReason}`))),
      options.timeoutMs,
    );
    const open = (): void => {
      const opened = openStream({
        socketFile: options.socketFile,
        path: ADS,
        onOpen: () => opened.send(encodeDiscoveryRequest({ node: options.node, typeUrl: BOOTSTRAP_TYPE })),
        onMessage: (bytes) => {
          const response = decodeDiscoveryResponse(bytes);
          if (response.typeUrl === BOOTSTRAP_TYPE) end(() => resolve(response.resources[0]));
        },
        onEnd: (reason) => {
          if (over) return;
          lastReason = reason;
          retry = setTimeout(open, RETRY_MS);
        },
      });
      stream = opened;
    };
    open();
  });
}
