import type { KubeClient, KubeObject, ListOptions, ResourceType, Watch } from '@istio-ts/kube';
import { keyOf, namespaceOf } from './kinds.ts';

export type Change<T> = {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: T;
  readonly previous: T | undefined;
};

/** All objects of one kind as the API server last reported them, and who wants to hear of changes. */
export interface Informer<T extends KubeObject> {
  get(namespace: string, name: string): T | undefined;
  byKey(key: string): T | undefined;
  list(namespace?: string): T[];
  /** Hears of every later change, and of every object already known as ADDED. */
  onChange(listener: (change: Change<T>) => void): void;
  /** Resolves when the first list is complete. */
  readonly synced: Promise<void>;
  close(): void;
}

/**
 * Keeps a copy of all objects of a kind. Managed fields are dropped, as nothing here reads them. Also indexed by namespace, so
 * that listing one namespace does not cost the whole cluster.
 */
export function createInformer<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType,
  options: ListOptions,
  onError: (error: Error) => void,
): Informer<T> {
  const objects = new Map<string, T>();
  const namespaces = new Map<string, Map<string, T>>();
  const listeners: ((change: Change<T>) => void)[] = [];
  let finishSync: () => void = () => {};
  const synced = new Promise<void>((resolve) => {
    finishSync = resolve;
  });
  // One object that a listener cannot cope with must not keep the others from being heard, nor end the process.
  const tellOne = (listener: (change: Change<T>) => void, change: Change<T>) => {
    try {
      listener(change);
    } catch (error) {
      onError(error instanceof Error ? error : new Error(String(error)));
    }
  };
  const tell = (change: Change<T>) => {
    for (const listener of listeners) tellOne(listener, change);
  };
  const watch: Watch = client.watch<T>(
    type,
    options,
    (event) => {
      if (event.type === 'SYNCED') {
        finishSync();
        return;
      }
      const key = keyOf(event.object);
      const previous = objects.get(key);
      // What was found missing after an interruption is reported without spec and labels: the last known state has them.
      const object = event.type === 'DELETED' && previous !== undefined ? previous : withoutManagedFields(event.object);
      const namespace = namespaceOf(object);
      if (event.type === 'DELETED') {
        objects.delete(key);
        const siblings = namespaces.get(namespace);
        siblings?.delete(key);
        if (siblings?.size === 0) namespaces.delete(namespace);
      } else {
        objects.set(key, object);
        let siblings = namespaces.get(namespace);
        if (siblings === undefined) {
          siblings = new Map();
          namespaces.set(namespace, siblings);
        }
        siblings.set(key, object);
      }
      tell({ type: event.type, object, previous });
    },
    onError,
  );
  return {
    get: (namespace, name) => objects.get(`${namespace}/${name}`),
    byKey: (key) => objects.get(key),
    list: (namespace) =>
      namespace === undefined ? [...objects.values()] : [...(namespaces.get(namespace)?.values() ?? [])],
    onChange(listener) {
      listeners.push(listener);
      for (const object of [...objects.values()]) tellOne(listener, { type: 'ADDED', object, previous: undefined });
    },
    synced,
    close: () => watch.close(),
  };
}

function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
