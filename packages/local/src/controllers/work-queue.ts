/** Keys to reconcile, each at most once at a time, failed ones again after a back-off. */
export interface WorkQueue {
  add(key: string): void;
  /** Adds the key after a delay; an earlier request for the same key stays. */
  addAfter(key: string, milliseconds: number): void;
  close(): void;
}

export interface WorkQueueOptions {
  readonly reconcile: (key: string) => Promise<void>;
  readonly onError: (key: string, error: Error) => void;
  /** How many keys are worked on at once. */
  readonly concurrency?: number;
  /** First and largest back-off after a failure, milliseconds. */
  readonly backoff?: { readonly first: number; readonly max: number };
}

export function createWorkQueue({ reconcile, onError, concurrency = 4, backoff }: WorkQueueOptions): WorkQueue {
  const waiting = new Set<string>();
  const running = new Set<string>();
  /** Keys that changed while they were being worked on. */
  const dirty = new Set<string>();
  const timers = new Map<string, { readonly timer: NodeJS.Timeout; readonly at: number }>();
  const failures = new Map<string, number>();
  const first = backoff?.first ?? 50;
  const max = backoff?.max ?? 30_000;
  let closed = false;
  let scheduled = false;

  const queue: WorkQueue = {
    add(key) {
      if (closed) return;
      if (running.has(key)) dirty.add(key);
      else waiting.add(key);
      pump();
    },
    addAfter(key, milliseconds) {
      if (closed) return;
      const at = Date.now() + milliseconds;
      const pending = timers.get(key);
      if (pending !== undefined) {
        if (pending.at <= at) return;
        clearTimeout(pending.timer);
      }
      const timer = setTimeout(
        () => {
          timers.delete(key);
          queue.add(key);
        },
        Math.min(Math.max(0, milliseconds), 2 ** 31 - 1),
      );
      timer.unref();
      timers.set(key, { timer, at });
    },
    close() {
      closed = true;
      for (const { timer } of timers.values()) clearTimeout(timer);
      timers.clear();
      waiting.clear();
      dirty.clear();
    },
  };

  function pump(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      for (const key of waiting) {
        if (closed || running.size >= concurrency) return;
        waiting.delete(key);
        void work(key);
      }
    });
  }

  async function work(key: string): Promise<void> {
    running.add(key);
    try {
      await reconcile(key);
      failures.delete(key);
    } catch (caught) {
      if (!closed) {
        const count = (failures.get(key) ?? 0) + 1;
        failures.set(key, count);
        const error = caught instanceof Error ? caught : new Error(String(caught));
        // Conflicts are the normal way to learn that somebody else wrote in between; the watch brings the new state.
        if (!('status' in error && error.status === 409)) onError(key, error);
        queue.addAfter(key, Math.min(max, first * 2 ** Math.min(count - 1, 12)));
      }
    } finally {
      running.delete(key);
      if (dirty.delete(key)) waiting.add(key);
      if (waiting.size > 0) pump();
    }
  }

  return queue;
}
