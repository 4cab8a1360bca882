import type { KubeClient, KubeObject, ListOptions, ResourceType, Watch, WatchEvent } from '@istio-ts/kube';
import type { Logger } from '../log.ts';

const quietMs = 60_000;

/**
 * A client whose watches outlive their listeners' mistakes: an event that a listener cannot digest is reported and lost, the ones after it come.
 * Interruptions, which mend themselves, are told to people once a minute at most. `now` is in milliseconds.
 */
export function steadyClient(
  client: KubeClient,
  options: {
    readonly log: Logger;
    readonly now: () => number;
    readonly onFailure: () => void;
    readonly onInterruption?: () => void;
  },
): KubeClient {
  const { log, now, onFailure, onInterruption } = options;
  let spokenAt = Number.NEGATIVE_INFINITY;
  let unspoken = 0;
  const interrupted = (resource: string, error: Error): void => {
    const message = `the watch of ${resource} was interrupted and is tried again: ${error.message}`;
    if (now() - spokenAt < quietMs) {
      unspoken++;
      log.debug(message);
      return;
    }
    log.warn(`${message}${unspoken > 0 ? ` (and ${unspoken} more interruptions since the last such line)` : ''}`);
    spokenAt = now();
    unspoken = 0;
  };
  return {
    ...client,
    watch: <T extends KubeObject>(
      type: ResourceType,
      listOptions: ListOptions,
      onEvent: (event: WatchEvent<T>) => void,
      onError?: (error: Error) => void,
    ): Watch =>
      client.watch<T>(
        type,
        listOptions,
        (event) => {
          try {
            onEvent(event);
          } catch (error) {
            onFailure();
            const what =
              event.type === 'SYNCED'
                ? 'the end of the first list'
                : `${event.object.metadata.namespace ?? ''}/${event.object.metadata.name ?? ''}`;
            log.error(`${type.resource}: ${what}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
          }
        },
        (error) => {
          onInterruption?.();
          interrupted(type.resource, error);
          onError?.(error);
        },
      ),
  };
}
