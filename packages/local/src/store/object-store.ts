import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { type ApiObject, objectKey } from '../apiserver/object.ts';

/** What happened to one object; `revision` orders all events of the store. */
export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly revision: number;
  /** For DELETED: the last state, with the resourceVersion of the deletion. */
  readonly object: ApiObject;
  readonly previous: ApiObject | undefined;
}

export type StoreListener = (event: StoreEvent) => void;

/** The object was changed or removed by somebody else since it was read. */
export class StoreConflict extends Error {}

interface Collection {
  readonly objects: Map<string, ApiObject>;
  readonly history: StoreEvent[];
  /** Size of each event in `history`, and of all together, in characters of JSON. */
  readonly sizes: number[];
  size: number;
  /** Events with a revision at or below this are no longer in `history`. */
  compacted: number;
  readonly listeners: Set<StoreListener>;
}

/** Events kept per resource for watches that come back: so many, and so many characters of JSON (but always the latest). */
const HISTORY = 1000;
const HISTORY_SIZE = 8 * 1024 * 1024;

/**
 * All objects of the cluster: durable in one SQLite database (write-ahead log, every change one transaction), complete in memory.
 * One counter, the revision, orders all changes of all resources and is an object's resourceVersion.
 */
export class ObjectStore {
  readonly #database: DatabaseSync;
  readonly #collections = new Map<string, Collection>();
  readonly #everything = new Set<(key: string, event: StoreEvent) => void>();
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #setRevision: StatementSync;
  readonly #startRevision: number;
  #revision: number;

  /** Opens or makes the database file. Throws when it is not a database of this program or is used by a second process. */
  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec(
      'PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-1024',
    );
    this.#database.exec(
      'CREATE TABLE IF NOT EXISTS objects (resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID; ' +
        'CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID; ' +
        "INSERT OR IGNORE INTO meta VALUES ('revision', '1')",
    );
    this.#put = this.#database.prepare(
      'INSERT OR REPLACE INTO objects (resource, namespace, name, body) VALUES (?, ?, ?, ?)',
    );
    this.#remove = this.#database.prepare('DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?');
    this.#setRevision = this.#database.prepare("UPDATE meta SET value = ? WHERE key = 'revision'");
    const row = this.#database.prepare("SELECT value FROM meta WHERE key = 'revision'").get();
    this.#revision = Number(row?.value ?? 1);
    this.#startRevision = this.#revision;
    const rows = this.#database.prepare('SELECT resource, namespace, name, body FROM objects').iterate();
    for (const { resource, namespace, name, body } of rows) {
      const object = JSON.parse(String(body)) as ApiObject;
      this.#collection(String(resource)).objects.set(objectKey(String(namespace), String(name)), object);
    }
  }

  /** The revision of the latest change. */
  get revision(): number {
    return this.#revision;
  }

  #collection(key: string): Collection {
    let collection = this.#collections.get(key);
    if (collection === undefined) {
      collection = {
        objects: new Map(),
        history: [],
        sizes: [],
        size: 0,
        compacted: this.#startRevision,
        listeners: new Set(),
      };
      this.#collections.set(key, collection);
    }
    return collection;
  }

  get(key: string, namespace: string, name: string): ApiObject | undefined {
    return this.#collections.get(key)?.objects.get(objectKey(namespace, name));
  }

  /** Objects of a resource, of one namespace if given, ordered by namespace and name. */
  list(key: string, namespace?: string): ApiObject[] {
    const objects = this.#collections.get(key)?.objects;
    if (objects === undefined) return [];
    const found: [string, ApiObject][] = [];
    const prefix = namespace === undefined ? undefined : `${namespace}/`;
    for (const [id, object] of objects) if (prefix === undefined || id.startsWith(prefix)) found.push([id, object]);
    found.sort((a, b) => (a[0] < b[0] ? -1 : 1));
    return found.map(([, object]) => object);
  }

  count(key: string): number {
    return this.#collections.get(key)?.objects.size ?? 0;
  }

  /** Keys of the resources that have objects. */
  keys(): string[] {
    return [...this.#collections].filter(([, collection]) => collection.objects.size > 0).map(([key]) => key);
  }

  /**
   * Writes an object if the stored one is still `expected` (undefined: none exists); returns the stored object with its new
   * resourceVersion. The caller hands the object over and must not change it afterwards. Throws `StoreConflict`.
   */
  put(key: string, object: ApiObject, expected: ApiObject | undefined): ApiObject {
    const collection = this.#collection(key);
    const namespace = object.metadata.namespace ?? '';
    const id = objectKey(namespace, object.metadata.name);
    const current = collection.objects.get(id);
    if (current !== expected) throw new StoreConflict();
    const revision = this.#revision + 1;
    object.metadata.resourceVersion = String(revision);
    const body = JSON.stringify(object);
    this.#transaction(revision, () => this.#put.run(key, namespace, object.metadata.name, body));
    collection.objects.set(id, object);
    const type = current === undefined ? 'ADDED' : 'MODIFIED';
    this.#emit(key, collection, { type, revision, object, previous: current }, body.length);
    return object;
  }

  /** Removes an object if the stored one is still `expected`; returns its last state. Throws `StoreConflict`. */
  remove(key: string, expected: ApiObject): ApiObject {
    const collection = this.#collection(key);
    const namespace = expected.metadata.namespace ?? '';
    const id = objectKey(namespace, expected.metadata.name);
    if (collection.objects.get(id) !== expected) throw new StoreConflict();
    const revision = this.#revision + 1;
    this.#transaction(revision, () => this.#remove.run(key, namespace, expected.metadata.name));
    collection.objects.delete(id);
    const object = { ...expected, metadata: { ...expected.metadata, resourceVersion: String(revision) } };
    this.#emit(key, collection, { type: 'DELETED', revision, object, previous: expected }, 1000);
    return object;
  }

  #transaction(revision: number, change: () => void): void {
    this.#database.exec('BEGIN');
    try {
      change();
      this.#setRevision.run(String(revision));
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
    this.#revision = revision;
  }

  #emit(key: string, collection: Collection, event: StoreEvent, size: number): void {
    const { history, sizes } = collection;
    history.push(event);
    sizes.push(size);
    collection.size += size;
    if (history.length > HISTORY || (collection.size > HISTORY_SIZE && history.length > 1)) {
      const count = Math.ceil(history.length / 4);
      collection.compacted = history.splice(0, count).at(-1)?.revision ?? collection.compacted;
      for (const dropped of sizes.splice(0, count)) collection.size -= dropped;
    }
    for (const listener of [...collection.listeners]) listener(event);
    for (const listener of [...this.#everything]) listener(key, event);
  }

  /** Events after `revision`, or undefined when they are no longer known and the caller has to list again. */
  since(key: string, revision: number): readonly StoreEvent[] | undefined {
    const collection = this.#collection(key);
    if (revision < collection.compacted) return undefined;
    return collection.history.filter((event) => event.revision > revision);
  }

  /** Calls `listener` for every later event of a resource, in order, until the returned function is called. */
  listen(key: string, listener: StoreListener): () => void {
    const { listeners } = this.#collection(key);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Like `listen`, for all resources. */
  listenAll(listener: (key: string, event: StoreEvent) => void): () => void {
    this.#everything.add(listener);
    return () => this.#everything.delete(listener);
  }

  close(): void {
    this.#database.close();
  }
}
