import type { ServerResponse } from 'node:http';
import type { StoreEvent } from '../../store/object-store.ts';
import { convert } from '../conversion.ts';
import { storageKey } from '../definitions.ts';
import { type ApiObject, apiVersionOf } from '../object.ts';
import type { Target } from '../operations/context.ts';
import type { Operations } from '../operations/operations.ts';
import { ApiError, badRequest, expired, statusObject } from '../status.ts';
import type { Selection } from './list.ts';
import { selects } from './list.ts';

const MAX_BUFFERED = 16 * 1024 * 1024;
const BOOKMARK_EVERY = 60_000;

/** Writes one object as the client wants it; `first` is true for the first object of the stream. */
export type Presenter = (object: ApiObject, first: boolean) => unknown;

export interface WatchRequest {
  readonly target: Target;
  readonly selection: Selection;
  readonly query: URLSearchParams;
  readonly present: Presenter;
}

/** Serialised once for all watchers that get the same form of the same event. */
let lastEvent: { readonly event: StoreEvent; readonly version: string; readonly text: string } | undefined;

/** Streams the changes of a collection until the client goes away or the time is over. Throws `ApiError` before anything is written. */
export function watch(
  operations: Operations,
  request: WatchRequest,
  response: ServerResponse,
  onEnd: () => void,
): void {
  const { store } = operations;
  const { target, selection, query, present } = request;
  const { definition, version } = target;
  const key = storageKey(definition);
  const wanted = query.get('resourceVersion') ?? '';
  if (wanted !== '' && !/^\d+$/.test(wanted))
    throw badRequest(`Invalid value: ${JSON.stringify(wanted)}: resourceVersion must be a number`);
  const initial = query.get('sendInitialEvents');
  const bookmarks = query.get('allowWatchBookmarks') === 'true' || query.get('allowWatchBookmarks') === '1';
  if (initial !== null && query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw new ApiError(
      422,
      'Invalid',
      'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    );
  }
  const fromNow = wanted === '' || wanted === '0';
  const state = initial === 'true' || (initial === null && fromNow);
  // A revision that does not exist yet is one of an earlier state of this cluster: what the client knows cannot be continued.
  const unknown = Number(wanted) > store.revision;
  const missed = state || fromNow ? [] : unknown ? undefined : store.since(key, Number(wanted));

  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' });
  response.flushHeaders();
  let first = true;
  let done = false;
  // The state at the start may be of any size; what comes later may only pile up so far.
  let limit = Number.POSITIVE_INFINITY;
  const plain = present === PLAIN;
  const write = (line: string) => {
    if (done) return;
    response.write(line);
    if (response.writableLength > limit) response.destroy();
  };
  const send = (type: string, object: ApiObject) => {
    const value = present(convert(object, definition, version), first);
    first = false;
    write(`${JSON.stringify({ type, object: value })}\n`);
  };
  const bookmark = (initialEnd: boolean) => {
    const object = {
      kind: definition.kind,
      apiVersion: apiVersionOf(definition.group, version),
      metadata: {
        resourceVersion: String(store.revision),
        creationTimestamp: null,
        ...(initialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
      },
    } as unknown as ApiObject;
    write(`${JSON.stringify({ type: 'BOOKMARK', object: plain ? object : present(object, first) })}\n`);
  };
  const deliver = (event: StoreEvent) => {
    const matches = event.type !== 'DELETED' && selects(selection, event.object);
    const matched = event.previous !== undefined && selects(selection, event.previous);
    if (!matches && !matched) return;
    const type = matches ? (matched ? 'MODIFIED' : 'ADDED') : 'DELETED';
    if (type === 'DELETED' && event.type !== 'DELETED' && event.previous !== undefined) {
      // It left the selection: the client sees its last selected state with the revision of the change.
      send(type, {
        ...event.previous,
        metadata: { ...event.previous.metadata, resourceVersion: String(event.revision) },
      });
      return;
    }
    if (!plain) {
      send(type, event.object);
      return;
    }
    if (lastEvent?.event !== event || lastEvent.version !== `${definition.group}/${version}/${type}`) {
      const text = `${JSON.stringify({ type, object: convert(event.object, definition, version) })}\n`;
      lastEvent = { event, version: `${definition.group}/${version}/${type}`, text };
    }
    write(lastEvent.text);
  };
  if (missed === undefined) {
    const error = expired(`too old resource version: ${wanted} (${store.revision})`);
    write(`${JSON.stringify({ type: 'ERROR', object: statusObject(error) })}\n`);
    response.end();
    onEnd();
    return;
  }
  if (state) {
    for (const object of store.list(key, selection.namespace)) if (selects(selection, object)) send('ADDED', object);
    if (initial === 'true' && bookmarks) bookmark(true);
  }
  for (const event of missed) deliver(event);
  limit = response.writableLength + MAX_BUFFERED;
  const stop = store.listen(key, (event) => {
    // Whoever wrote the object must not suffer from a watcher that cannot be served.
    try {
      deliver(event);
    } catch {
      response.destroy();
    }
  });
  const timer = bookmarks ? setInterval(() => bookmark(false), BOOKMARK_EVERY) : undefined;
  const seconds = Number(query.get('timeoutSeconds') ?? '0') || 1800 + Math.floor(Math.random() * 1800);
  const end = setTimeout(() => response.end(), Math.min(seconds, 86_400) * 1000);
  response.once('close', () => {
    done = true;
    stop();
    clearInterval(timer);
    clearTimeout(end);
    onEnd();
  });
}

/** The presenter for objects as they are. */
export const PLAIN: Presenter = (object) => object;
