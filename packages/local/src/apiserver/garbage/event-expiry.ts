import { type ObjectStore, StoreConflict } from '../../store/object-store.ts';

const KEEP = 3_600_000;
const EVERY = 300_000;

/** Removes Events that nobody has touched for an hour, as a real server does. Returns a function that ends it. */
export function expireEvents(store: ObjectStore, now: () => number): () => void {
  const expire = () => {
    for (const event of store.list('/events')) {
      const last = event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp;
      if (typeof last === 'string' && Date.parse(last) > now() - KEEP) continue;
      try {
        store.remove('/events', event);
      } catch (error) {
        if (!(error instanceof StoreConflict)) throw error;
      }
    }
  };
  expire();
  const timer = setInterval(expire, EVERY);
  timer.unref();
  return () => clearInterval(timer);
}
