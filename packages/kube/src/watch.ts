import { KubeApiError, type ListOptions, type Watch, type WatchEvent } from './client.ts';
import { readLines } from './lines.ts';
import { complete, listAll } from './list.ts';
import type { KubeObject, ResourceType } from './object.ts';
import { queryString, resourcePath } from './paths.ts';
import { failureOf, type Transport } from './transport.ts';

export interface WatchClock {
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** A number from 0 up to 1. */
  readonly random: () => number;
}

const firstDelayMs = 100;
const maxDelayMs = 30_000;
/** One event: an object of the largest size etcd takes is about 3 MiB as JSON. */
const maxEvent = 64 << 20;

interface Known {
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

/**
 * The list-and-watch loop behind `KubeClient.watch`. It remembers of each object only its identity and version, to find
 * differences after a relist; so a DELETED event found that way carries the object's name and namespace but no spec.
 * Protocol: Kubernetes API concepts, "Efficient detection of changes" and "Watch bookmarks".
 */
export function startWatch<T extends KubeObject>(
  transport: Transport,
  type: ResourceType,
  options: ListOptions & { readonly dropManagedFields?: boolean },
  clock: WatchClock,
  onEvent: (event: WatchEvent<T>) => void,
  onError: (error: Error) => void,
): Watch {
  const abort = new AbortController();
  const { signal } = abort;
  const known = new Map<string, Known>();
  const drop = options.dropManagedFields === true;
  let synced = false;
  let failures = 0;

  const deliver = (event: WatchEvent<T>): void => {
    if (!signal.aborted) onEvent(event);
  };

  const relist = async (): Promise<string> => {
    const { items, resourceVersion } = await listAll<T>(transport, type, options, signal);
    const seen = new Set<string>();
    for (const object of items) {
      const key = keyOf(object);
      seen.add(key);
      const before = known.get(key);
      const { uid, resourceVersion: version } = object.metadata;
      if (before && before.uid === uid && before.resourceVersion === version) continue;
      // The same name with another uid is another object: the old one went away in between.
      if (before && before.uid !== uid) deliver({ type: 'DELETED', object: gone<T>(key, before, type) });
      known.set(key, { uid, resourceVersion: version });
      deliver({ type: before && before.uid === uid ? 'MODIFIED' : 'ADDED', object });
    }
    for (const [key, before] of known) {
      if (seen.has(key)) continue;
      known.delete(key);
      deliver({ type: 'DELETED', object: gone<T>(key, before, type) });
    }
    if (!synced) {
      synced = true;
      deliver({ type: 'SYNCED' });
    }
    return resourceVersion;
  };

  /** One watch request; returns the version to resume from, or undefined when a relist is due. */
  const follow = async (from: string): Promise<string | undefined> => {
    // The server ends a watch by itself after some minutes; spreading that keeps a fleet's watches apart.
    const timeoutSeconds = Math.floor(300 + clock.random() * 300);
    const query = queryString({
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: from,
      timeoutSeconds,
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
    });
    const path = resourcePath(type, options.namespace) + query;
    let version = from;
    const response = await transport.send({ method: 'GET', path, signal, streaming: true });
    // A connection that died silently must not look like a quiet collection for ever.
    const watchdog = setTimeout(
      () => response.body.destroy(new Error('watch outlived its time limit')),
      (timeoutSeconds + 30) * 1000,
    );
    try {
      for await (const line of readLines(response.body, maxEvent)) {
        if (signal.aborted) return version;
        if (line === '') continue;
        const event = JSON.parse(line) as { readonly type: string; readonly object: Record<string, unknown> };
        if (event.type === 'ERROR') {
          const failure = failureOf(Number(event.object.code) || 500, JSON.stringify(event.object), `watch ${path}`);
          if (failure.status === 410) return undefined;
          throw failure;
        }
        failures = 0;
        const object = complete<T>(event.object, type, drop);
        version = object.metadata.resourceVersion ?? version;
        if (event.type === 'ADDED' || event.type === 'MODIFIED') {
          known.set(keyOf(object), { uid: object.metadata.uid, resourceVersion: version });
          deliver({ type: event.type, object });
        } else if (event.type === 'DELETED') {
          known.delete(keyOf(object));
          deliver({ type: event.type, object });
        }
      }
      failures = 0;
      return version;
    } catch (error) {
      if (signal.aborted) return version;
      if (error instanceof KubeApiError) throw error;
      // The stream broke: say so, and go on where it broke.
      report(error);
      await pause();
      return version;
    } finally {
      clearTimeout(watchdog);
      response.body.destroy();
    }
  };

  const report = (error: unknown): void => {
    if (!signal.aborted) onError(error instanceof Error ? error : new Error(String(error)));
  };

  const pause = async (): Promise<void> => {
    const ceiling = Math.min(firstDelayMs * 2 ** failures, maxDelayMs);
    failures = Math.min(failures + 1, 20);
    await clock.sleep(ceiling * (0.5 + clock.random() / 2), signal).catch(() => {});
  };

  const run = async (): Promise<void> => {
    let version: string | undefined;
    while (!signal.aborted) {
      try {
        version ??= await relist();
        if (signal.aborted) return;
        version = await follow(version);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof KubeApiError && error.status === 410) {
          version = undefined;
          continue;
        }
        report(error);
        await pause();
      }
    }
  };
  run().catch(report);
  return { close: () => abort.abort() };
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
}

/** What is known of an object that disappeared while nobody watched. */
function gone<T extends KubeObject>(key: string, known: Known, type: ResourceType): T {
  const slash = key.indexOf('/');
  const namespace = key.slice(0, slash);
  return complete<T>(
    {
      metadata: {
        name: key.slice(slash + 1),
        ...(namespace !== '' && { namespace }),
        ...(known.uid !== undefined && { uid: known.uid }),
        ...(known.resourceVersion !== undefined && { resourceVersion: known.resourceVersion }),
      },
    },
    type,
    false,
  );
}
