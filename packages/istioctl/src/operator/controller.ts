import type { KubeClient, KubeObject, Watch } from '@istio-ts/kube';
import { watchDrift } from './drift.ts';
import { type Outcome, reconcile, type ReconcileOptions } from './reconcile.ts';
import { istioOperatorType, keyOf, revisionOf } from './resource.ts';

export interface ControllerOptions extends Omit<ReconcileOptions, 'all'> {
  readonly client: KubeClient;
  /** Namespaces whose IstioOperators count; empty: all. */
  readonly namespaces: readonly string[];
  /** Only IstioOperators of this revision count; empty: all. */
  readonly revision: string;
  /** Time between checks of everything, in ms. */
  readonly resyncMs: number;
  /** How long to gather changes of installed objects before they are looked at, in ms. */
  readonly driftDelayMs: number;
  /** First and longest pause after a failure, in ms. */
  readonly retryMs: { readonly first: number; readonly longest: number };
  readonly setTimer: (run: () => void, ms: number) => { readonly cancel: () => void };
  readonly onOutcome: (outcome: Outcome, object: KubeObject, ms: number) => void;
  readonly onDrift: (name: string) => void;
}

interface Entry {
  object: KubeObject;
  failures: number;
  timer: { readonly cancel: () => void } | undefined;
  /** When the timer fires, by the controller's clock. */
  due: number;
}

export interface Controller {
  /** Ends the watches and resolves when the work under way has ended. */
  readonly close: () => Promise<void>;
  /** How many IstioOperators there are. */
  readonly size: () => number;
}

/** What makes a new look at an IstioOperator necessary: not its status. */
const wish = (object: KubeObject): string =>
  JSON.stringify([
    object.metadata.generation,
    object.metadata.deletionTimestamp,
    object.metadata.annotations,
    object.spec,
  ]);

/**
 * Keeps installations as their IstioOperators say: after a change of one, after somebody changed or deleted an installed object, and from time to time.
 * One at a time: installations share objects of the cluster. `onSynced` hears when all IstioOperators are known.
 */
export function startController(options: ControllerOptions, onSynced: () => void): Controller {
  const { client, log, now } = options;
  const entries = new Map<string, Entry>();
  const ready: string[] = [];
  let closed = false;
  let running: Promise<void> | undefined;

  const schedule = (key: string, delayMs: number): void => {
    const entry = entries.get(key);
    if (closed || !entry) return;
    const due = now().getTime() + delayMs;
    // What is due sooner stays; what waits for a retry or resync is brought forward.
    if (entry.timer !== undefined && entry.due <= due) return;
    entry.timer?.cancel();
    entry.due = due;
    entry.timer = options.setTimer(() => {
      entry.timer = undefined;
      if (!ready.includes(key)) ready.push(key);
      work();
    }, delayMs);
  };

  const work = (): void => {
    if (running !== undefined || closed) return;
    running = (async () => {
      for (let key = ready.shift(); key !== undefined && !closed; key = ready.shift()) await one(key);
    })()
      .catch((error: Error) => log.error(error.stack ?? error.message))
      .finally(() => {
        running = undefined;
        if (ready.length > 0) work();
      });
  };

  const one = async (key: string): Promise<void> => {
    const entry = entries.get(key);
    if (!entry) return;
    const { object } = entry;
    const started = now().getTime();
    const outcome = await reconcile(object, {
      ...options,
      all: () => [...entries.values()].map((each) => each.object),
    });
    options.onOutcome(outcome, object, now().getTime() - started);
    const current = entries.get(key);
    if (!current) return;
    switch (outcome.kind) {
      case 'done':
        current.failures = 0;
        schedule(key, options.resyncMs);
        break;
      case 'ignored':
        break;
      case 'failed': {
        const { first, longest } = options.retryMs;
        schedule(key, Math.min(first * 2 ** Math.min(current.failures, 20), longest));
        current.failures++;
        break;
      }
    }
  };

  const counts = (object: KubeObject): boolean => options.revision === '' || revisionOf(object) === options.revision;

  const places = options.namespaces.length > 0 ? options.namespaces : [undefined];
  let unsynced = places.length;
  const watches: Watch[] = places.map((namespace) =>
    client.watch(
      istioOperatorType,
      { ...(namespace !== undefined && { namespace }), dropManagedFields: true },
      (event) => {
        if (event.type === 'SYNCED') {
          unsynced--;
          if (unsynced === 0) onSynced();
          return;
        }
        const { object } = event;
        const key = keyOf(object);
        const entry = entries.get(key);
        if (event.type === 'DELETED' || !counts(object)) {
          entry?.timer?.cancel();
          entries.delete(key);
          // Another one of its revision may have waited for this.
          for (const other of entries.keys()) schedule(other, options.driftDelayMs);
          return;
        }
        if (entry === undefined) {
          entries.set(key, { object, failures: 0, timer: undefined, due: Number.POSITIVE_INFINITY });
          schedule(key, 0);
          return;
        }
        const changed = wish(entry.object) !== wish(object);
        entry.object = object;
        if (!changed) return;
        entry.failures = 0;
        schedule(key, 0);
      },
      (error) => log.warn(`the watch of IstioOperators was interrupted and is tried again: ${error.message}`),
    ),
  );

  watches.push(
    watchDrift(
      client,
      (revision, name) => {
        for (const [key, { object }] of entries) {
          if (revisionOf(object) !== revision || object.metadata.deletionTimestamp !== undefined) continue;
          // While the operator works it is probably its own doing: worth another look, but no word.
          if (running === undefined) {
            log.info(`${key}: ${name} was changed or deleted by somebody else`);
            options.onDrift(name);
          }
          schedule(key, options.driftDelayMs);
        }
      },
      (error) => log.warn(`a watch of installed objects was interrupted and is tried again: ${error.message}`),
    ),
  );

  return {
    close: async () => {
      closed = true;
      for (const watch of watches) watch.close();
      for (const { timer } of entries.values()) timer?.cancel();
      await running;
    },
    size: () => entries.size,
  };
}
