import { storageKey } from '../definitions.ts';
import { asArray, asObject } from '../json.ts';
import { type ApiObject, groupOf, objectKey } from '../object.ts';
import { internalContext, NO_DELETE_OPTIONS, type Target } from '../operations/context.ts';
import type { Operations } from '../operations/operations.ts';
import { ApiError } from '../status.ts';

interface Dependent {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
}

const CONTEXT = internalContext('kube-controller-manager');
const RETRY_AFTER = 1000;
/** An owner that is not there yet may still come (created in the same breath); after this it is taken as gone. */
const ORPHAN_GRACE = 5000;

/**
 * Garbage collection by owner references, the finalizers `foregroundDeletion` and `orphan`, and the emptying of namespaces that are
 * being deleted. Works on the events of the store; nothing is polled.
 */
export function startGarbageCollection(operations: Operations, log: (line: string) => void): { stop(): Promise<void> } {
  const collector = new Collector(operations, log);
  collector.start();
  return { stop: () => collector.stop() };
}

class Collector {
  readonly #operations: Operations;
  readonly #log: (line: string) => void;
  /** By uid of the owner. */
  readonly #dependents = new Map<string, Map<string, Dependent>>();
  readonly #uids = new Set<string>();
  readonly #queue = new Map<string, () => Promise<void>>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #running: Promise<void> | undefined;
  #stopped = false;
  #stopListening: () => void = () => {};

  constructor(operations: Operations, log: (line: string) => void) {
    this.#operations = operations;
    this.#log = log;
  }

  start(): void {
    const { store } = this.#operations;
    for (const key of store.keys()) {
      for (const object of store.list(key)) {
        this.#uids.add(object.metadata.uid);
        this.#index(key, object);
      }
    }
    this.#stopListening = store.listenAll((key, event) => {
      const { object } = event;
      if (event.type === 'DELETED') {
        this.#uids.delete(object.metadata.uid);
        this.#unindex(key, object);
        this.#gone(object);
        return;
      }
      this.#uids.add(object.metadata.uid);
      if (event.previous !== undefined && event.previous.metadata.ownerReferences !== object.metadata.ownerReferences)
        this.#unindex(key, event.previous);
      this.#index(key, object);
      this.#changed(key, object);
      if (event.type === 'ADDED') this.#checkOwners(key, object);
    });
    for (const key of store.keys()) {
      for (const object of store.list(key)) {
        this.#changed(key, object);
        this.#checkOwners(key, object);
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopListening();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#queue.clear();
    await this.#running;
  }

  #index(key: string, object: ApiObject): void {
    for (const owner of object.metadata.ownerReferences ?? []) {
      let list = this.#dependents.get(owner.uid);
      if (list === undefined) {
        list = new Map();
        this.#dependents.set(owner.uid, list);
      }
      const namespace = object.metadata.namespace ?? '';
      list.set(`${key}|${objectKey(namespace, object.metadata.name)}`, { key, namespace, name: object.metadata.name });
    }
  }

  #unindex(key: string, object: ApiObject): void {
    for (const owner of object.metadata.ownerReferences ?? []) {
      const list = this.#dependents.get(owner.uid);
      if (list === undefined) continue;
      list.delete(`${key}|${objectKey(object.metadata.namespace ?? '', object.metadata.name)}`);
      if (list.size === 0) this.#dependents.delete(owner.uid);
      if (object.metadata.deletionTimestamp !== undefined || list.size === 0)
        this.#ownerMayGo(owner.uid, owner.kind, groupOf(owner.apiVersion), object.metadata.namespace ?? '', owner.name);
    }
  }

  #later(action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, RETRY_AFTER);
    this.#timers.add(timer);
  }

  #enqueue(id: string, work: () => Promise<void>): void {
    if (this.#stopped) return;
    this.#queue.set(id, work);
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    for (;;) {
      const [next] = this.#queue;
      if (next === undefined || this.#stopped) break;
      const [id, work] = next;
      this.#queue.delete(id);
      try {
        await work();
      } catch (error) {
        if (error instanceof ApiError && (error.code === 404 || error.code === 405)) continue;
        this.#log(`garbage collection of ${id}: ${error instanceof Error ? error.message : String(error)}`);
        this.#later(() => this.#enqueue(id, work));
      }
    }
    this.#running = undefined;
  }

  #target(key: string, namespace: string, name: string): Target | undefined {
    const slash = key.indexOf('/');
    const definition = this.#operations.registry.byResource(key.slice(0, slash), key.slice(slash + 1));
    return definition === undefined
      ? undefined
      : { definition, version: definition.storageVersion, namespace, name, subresource: '' };
  }

  /** An owner is gone: dependents without another living owner follow it. */
  #gone(owner: ApiObject): void {
    for (const dependent of this.#dependents.get(owner.metadata.uid)?.values() ?? []) this.#enqueueDependent(dependent);
    if (owner.metadata.namespace !== undefined) this.#namespaceShrank(owner.metadata.namespace);
  }

  #enqueueDependent({ key, namespace, name }: Dependent): void {
    this.#enqueue(`${key} ${namespace}/${name}`, () => this.#collect(key, namespace, name));
  }

  async #collect(key: string, namespace: string, name: string): Promise<void> {
    const target = this.#target(key, namespace, name);
    const object = this.#operations.store.get(key, namespace, name);
    if (target === undefined || object === undefined) return;
    const owners = object.metadata.ownerReferences ?? [];
    if (owners.length === 0) return;
    const living = owners.filter((owner) => this.#uids.has(owner.uid));
    if (living.length === owners.length) return;
    if (living.length > 0) {
      await this.#operations.update(
        target,
        (current) => ({ ...current, metadata: { ...current.metadata, ownerReferences: living } }),
        CONTEXT,
      );
      return;
    }
    if (object.metadata.deletionTimestamp !== undefined) return;
    const propagation = (object.metadata.finalizers ?? []).includes('orphan') ? 'Orphan' : 'Background';
    await this.#operations.delete(target, { ...NO_DELETE_OPTIONS, propagation, uid: object.metadata.uid }, CONTEXT);
  }

  /** A new object whose owners do not exist is collected after a moment. */
  #checkOwners(key: string, object: ApiObject): void {
    const owners = object.metadata.ownerReferences ?? [];
    if (owners.length === 0 || owners.every((owner) => this.#uids.has(owner.uid))) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#enqueueDependent({ key, namespace: object.metadata.namespace ?? '', name: object.metadata.name });
    }, ORPHAN_GRACE);
    this.#timers.add(timer);
  }

  #changed(key: string, object: ApiObject): void {
    if (object.metadata.deletionTimestamp === undefined) return;
    const finalizers = object.metadata.finalizers ?? [];
    const namespace = object.metadata.namespace ?? '';
    const { name } = object.metadata;
    if (finalizers.includes('orphan'))
      this.#enqueue(`orphan ${key} ${namespace}/${name}`, () => this.#orphan(key, namespace, name));
    if (finalizers.includes('foregroundDeletion'))
      this.#enqueue(`foreground ${key} ${namespace}/${name}`, () => this.#foreground(key, namespace, name));
    if (key === '/namespaces') this.#enqueue(`namespace ${name}`, () => this.#emptyNamespace(name));
    else if (namespace !== '') this.#namespaceShrank(namespace);
    for (const owner of object.metadata.ownerReferences ?? [])
      this.#ownerMayGo(owner.uid, owner.kind, groupOf(owner.apiVersion), namespace, owner.name);
  }

  #ownerMayGo(uid: string, kind: string, group: string, namespace: string, name: string): void {
    const definition = this.#operations.registry.byKind(group, kind);
    if (definition === undefined) return;
    const key = storageKey(definition);
    const owner = this.#operations.store.get(key, definition.namespaced ? namespace : '', name);
    if (owner?.metadata.uid !== uid || !(owner.metadata.finalizers ?? []).includes('foregroundDeletion')) return;
    this.#enqueue(`foreground ${key} ${namespace}/${name}`, () =>
      this.#foreground(key, definition.namespaced ? namespace : '', name),
    );
  }

  async #removeFinalizer(target: Target, finalizer: string): Promise<void> {
    await this.#operations.update(
      target,
      (current) => ({
        ...current,
        metadata: {
          ...current.metadata,
          finalizers: (current.metadata.finalizers ?? []).filter((item) => item !== finalizer),
        },
      }),
      CONTEXT,
    );
  }

  async #orphan(key: string, namespace: string, name: string): Promise<void> {
    const target = this.#target(key, namespace, name);
    const owner = this.#operations.store.get(key, namespace, name);
    if (target === undefined || owner === undefined) return;
    for (const dependent of [...(this.#dependents.get(owner.metadata.uid)?.values() ?? [])]) {
      const other = this.#target(dependent.key, dependent.namespace, dependent.name);
      if (other === undefined) continue;
      await this.#operations.update(
        other,
        (current) => {
          const ownerReferences = (current.metadata.ownerReferences ?? []).filter(
            (reference) => reference.uid !== owner.metadata.uid,
          );
          return { ...current, metadata: { ...current.metadata, ownerReferences } };
        },
        CONTEXT,
      );
    }
    await this.#removeFinalizer(target, 'orphan');
  }

  async #foreground(key: string, namespace: string, name: string): Promise<void> {
    const target = this.#target(key, namespace, name);
    const owner = this.#operations.store.get(key, namespace, name);
    if (target === undefined || owner === undefined) return;
    let blocked = false;
    for (const dependent of [...(this.#dependents.get(owner.metadata.uid)?.values() ?? [])]) {
      const other = this.#target(dependent.key, dependent.namespace, dependent.name);
      const object = this.#operations.store.get(dependent.key, dependent.namespace, dependent.name);
      if (other === undefined || object === undefined) continue;
      const reference = object.metadata.ownerReferences?.find((item) => item.uid === owner.metadata.uid);
      if (reference?.blockOwnerDeletion === true) blocked = true;
      if (object.metadata.deletionTimestamp !== undefined) continue;
      const others = (object.metadata.ownerReferences ?? []).some(
        (item) => item.uid !== owner.metadata.uid && this.#uids.has(item.uid),
      );
      if (!others) await this.#operations.delete(other, { ...NO_DELETE_OPTIONS, propagation: 'Foreground' }, CONTEXT);
    }
    const remaining = [...(this.#dependents.get(owner.metadata.uid)?.values() ?? [])].length;
    if (!blocked || remaining === 0) await this.#removeFinalizer(target, 'foregroundDeletion');
  }

  #namespaceShrank(name: string): void {
    const namespace = this.#operations.store.get('/namespaces', '', name);
    if (namespace?.metadata.deletionTimestamp !== undefined)
      this.#enqueue(`namespace ${name}`, () => this.#emptyNamespace(name));
  }

  async #emptyNamespace(name: string): Promise<void> {
    const { store, registry } = this.#operations;
    const namespace = store.get('/namespaces', '', name);
    if (namespace?.metadata.deletionTimestamp === undefined) return;
    let remaining = 0;
    for (const definition of registry.all()) {
      if (
        !definition.namespaced ||
        definition.virtual ||
        (definition.group === 'events.k8s.io' && definition.kind === 'Event')
      )
        continue;
      const key = storageKey(definition);
      for (const object of store.list(key, name)) {
        if (object.metadata.deletionTimestamp === undefined) {
          const target: Target = {
            definition,
            version: definition.storageVersion,
            namespace: name,
            name: object.metadata.name,
            subresource: '',
          };
          try {
            await this.#operations.delete(target, { ...NO_DELETE_OPTIONS, propagation: 'Background' }, CONTEXT);
          } catch (error) {
            if (!(error instanceof ApiError && error.code === 404)) throw error;
          }
        }
        if (store.get(key, name, object.metadata.name) !== undefined) remaining += 1;
      }
    }
    if (remaining > 0 || !asArray(asObject(namespace.spec).finalizers).includes('kubernetes')) return;
    const target = this.#target('/namespaces', '', name);
    if (target === undefined) return;
    await this.#operations.update(
      { ...target, subresource: 'finalize' },
      (current) => ({
        ...current,
        spec: {
          ...asObject(current.spec),
          finalizers: asArray(asObject(current.spec).finalizers).filter((item) => item !== 'kubernetes'),
        },
      }),
      CONTEXT,
    );
  }
}
