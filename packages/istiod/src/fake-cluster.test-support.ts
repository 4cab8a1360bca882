import { defaultMeshConfig } from '@istio-ts/api';
import { KubeApiError, type KubeClient, type KubeObject, type ResourceType, type WatchEvent } from '@istio-ts/kube';
import { playedClient } from '@istio-ts/kube/testing/played-client';
import { createMesh, MeshSources } from '@istio-ts/mesh';

/** A cluster of objects in memory that answers as an API server does, as far as controllers can tell. */
export class FakeCluster {
  readonly objects = new Map<string, KubeObject>();
  /** `VERB RESOURCE NAMESPACE/NAME` of every write. */
  readonly writes: string[] = [];
  /** Called before each write; what it throws is the server's answer. */
  refuse: (write: string) => void = () => undefined;
  readonly #watchers = new Set<{ readonly type: ResourceType; readonly tell: (event: WatchEvent) => void }>();

  static key(type: ResourceType, namespace: string | undefined, name: string | undefined): string {
    return `${type.resource} ${namespace ?? ''}/${name ?? ''}`;
  }

  /** Puts an object there as somebody else would, and tells the watchers. */
  put(type: ResourceType, object: KubeObject): KubeObject {
    const key = FakeCluster.key(type, object.metadata.namespace, object.metadata.name);
    const known = this.objects.has(key);
    this.objects.set(key, object);
    for (const watcher of this.#watchers)
      if (watcher.type.resource === type.resource) watcher.tell({ type: known ? 'MODIFIED' : 'ADDED', object });
    return object;
  }

  remove(type: ResourceType, namespace: string | undefined, name: string): void {
    const key = FakeCluster.key(type, namespace, name);
    const object = this.objects.get(key);
    if (!object) return;
    this.objects.delete(key);
    for (const watcher of this.#watchers)
      if (watcher.type.resource === type.resource) watcher.tell({ type: 'DELETED', object });
  }

  get(type: ResourceType, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.objects.get(FakeCluster.key(type, namespace, name));
  }

  get client(): KubeClient {
    const write = (verb: string, type: ResourceType, namespace: string | undefined, name: string | undefined): void => {
      const line = `${verb} ${FakeCluster.key(type, namespace, name)}`;
      this.writes.push(line);
      this.refuse(line);
    };
    const found = (type: ResourceType, namespace: string | undefined, name: string | undefined): KubeObject => {
      const object = this.objects.get(FakeCluster.key(type, namespace, name));
      if (!object) throw new KubeApiError(404, 'NotFound', `${type.resource} "${name}" not found`);
      return object;
    };
    const client = {
      get: async (type: ResourceType, name: string, namespace?: string) => found(type, namespace, name),
      create: async (type: ResourceType, object: KubeObject) => {
        const { namespace, name } = object.metadata;
        write('create', type, namespace, name);
        if (this.objects.has(FakeCluster.key(type, namespace, name)))
          throw new KubeApiError(409, 'AlreadyExists', `${type.resource} "${name}" already exists`);
        return this.put(type, object);
      },
      update: async (type: ResourceType, object: KubeObject) => {
        const { namespace, name } = object.metadata;
        write('update', type, namespace, name);
        found(type, namespace, name);
        return this.put(type, object);
      },
      patch: async (
        type: ResourceType,
        name: string,
        namespace: string | undefined,
        patchType: string,
        body: unknown,
      ) => {
        write(`patch-${patchType}`, type, namespace, name);
        const object = structuredClone(found(type, namespace, name)) as unknown as Record<string, unknown>;
        if (!Array.isArray(body)) return this.put(type, merged(object, body) as KubeObject);
        for (const { path, value } of body as { path: string; value: unknown }[]) {
          const steps = path.slice(1).split('/');
          const last = steps.pop() ?? '';
          let parent = object;
          for (const step of steps) parent = parent[step] as Record<string, unknown>;
          parent[last] = value;
        }
        return this.put(type, object as unknown as KubeObject);
      },
      list: async (type: ResourceType) => ({
        items: [...this.objects].filter(([key]) => key.startsWith(`${type.resource} `)).map(([, object]) => object),
        resourceVersion: '1',
      }),
      delete: async (type: ResourceType, name: string, namespace?: string) => {
        write('delete', type, namespace, name);
        found(type, namespace, name);
        this.remove(type, namespace, name);
      },
      watch: (
        type: ResourceType,
        { fieldSelector }: { readonly fieldSelector?: string },
        onEvent: (event: WatchEvent) => void,
      ) => {
        const name = fieldSelector?.replace('metadata.name=', '');
        const tell = (event: WatchEvent): void => {
          if (event.type === 'SYNCED' || name === undefined || event.object.metadata.name === name) onEvent(event);
        };
        const watcher = { type, tell };
        this.#watchers.add(watcher);
        for (const [key, object] of this.objects)
          if (key.startsWith(`${type.resource} `)) tell({ type: 'ADDED', object });
        tell({ type: 'SYNCED' });
        return { close: () => void this.#watchers.delete(watcher) };
      },
    };
    return playedClient(client);
  }
}

/** A mesh model and a cluster that hold the same objects. */
export function meshOnCluster() {
  const cluster = new FakeCluster();
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources);
  const put = (type: ResourceType, object: KubeObject): void => {
    cluster.put(type, object);
    sources.set(object);
  };
  const remove = (type: ResourceType, object: KubeObject): void => {
    cluster.remove(type, object.metadata.namespace, object.metadata.name ?? '');
    sources.delete(object);
  };
  return { cluster, sources, mesh, put, remove };
}

/** A JSON merge patch (RFC 7386). */
function merged(value: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = {
    ...(typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}),
  };
  for (const [key, change] of Object.entries(patch)) {
    if (change === null) delete result[key];
    else result[key] = merged(result[key], change);
  }
  return result;
}

/** Lets everything that is ready run. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}
