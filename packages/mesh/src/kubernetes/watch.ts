import type { KubeClient, ListOptions, Watch } from '@istio-ts/kube/client';
import type { KubeObject, ResourceType } from '@istio-ts/kube/object';
import { type MeshSources, meshResources } from '../sources.ts';

export interface MeshWatchOptions {
  /** Kinds to watch; all of the mesh's by default. */
  readonly resources?: readonly ResourceType[];
  /** Which lists make up a kind: one per namespace, or with a selector; everything of the cluster by default. */
  readonly lists?: (resource: ResourceType) => readonly ListOptions[];
  /** Objects for which it returns false do not exist for the mesh (discovery selectors, revisions). */
  readonly admits?: (object: KubeObject) => boolean;
  /** Events of objects for which it returns true count as not there: these objects come from another source. */
  readonly skips?: (object: KubeObject) => boolean;
  /** Hears of every change that the API server tells of. */
  readonly onEvent?: (resource: ResourceType, event: 'add' | 'update' | 'delete') => void;
  /** Hears of every interruption of a watch; watches go on by themselves. */
  readonly onError?: (resource: ResourceType, error: Error) => void;
  /** Hears of what went wrong while a batch was applied; the rest of the batch is in force. Without it the error is thrown where the batch runs. */
  readonly onFailure?: (error: unknown) => void;
  /** Delays the processing of what arrives until the event loop is free; `setImmediate` by default. */
  readonly schedule?: (work: () => void) => void;
}

const eventNames = { ADDED: 'add', MODIFIED: 'update', DELETED: 'delete' } as const;

/**
 * Feeds sources from a Kubernetes API server. What arrives together is applied as one batch; nothing is applied before all kinds have been listed
 * once, so that no proxy ever sees half a mesh. `synced` resolves when that has happened.
 */
export function watchMesh(
  client: KubeClient,
  sources: MeshSources,
  options: MeshWatchOptions = {},
): { readonly synced: Promise<void>; close(): void } {
  const {
    resources = meshResources,
    lists = () => [{}],
    admits = () => true,
    skips = () => false,
    onEvent = () => {},
    onError = () => {},
    onFailure,
    schedule = (work) => void setImmediate(work),
  } = options;
  const watched = resources.flatMap((resource) => lists(resource).map((list) => ({ resource, list })));
  const waiting = new Set(watched);
  let queue: { readonly deleted: boolean; readonly object: KubeObject }[] = [];
  let scheduled = false;
  let closed = false;
  let resolveSynced: () => void = () => {};
  const synced = new Promise<void>((resolve) => {
    resolveSynced = resolve;
  });
  const apply = (): void => {
    scheduled = false;
    if (closed) return;
    const events = queue;
    queue = [];
    const attempt = (work: () => void): void => {
      if (!onFailure) {
        work();
        return;
      }
      try {
        work();
      } catch (error) {
        onFailure(error);
      }
    };
    // One object that cannot be read must not keep the others away.
    attempt(() =>
      sources.batch(() => {
        for (const { deleted, object } of events)
          attempt(() => {
            if (skips(object)) return;
            if (deleted || !admits(object)) sources.delete(object);
            else sources.set(object);
          });
      }),
    );
    if (waiting.size === 0) resolveSynced();
  };
  const request = (): void => {
    if (scheduled || waiting.size > 0) return;
    scheduled = true;
    schedule(apply);
  };
  const watches: Watch[] = watched.map((entry) =>
    client.watch(
      entry.resource,
      entry.list,
      (event) => {
        if (event.type === 'SYNCED') waiting.delete(entry);
        else {
          onEvent(entry.resource, eventNames[event.type]);
          queue.push({ deleted: event.type === 'DELETED', object: event.object });
        }
        request();
      },
      (error) => onError(entry.resource, error),
    ),
  );
  return {
    synced,
    close: () => {
      closed = true;
      for (const watch of watches) watch.close();
    },
  };
}
