import { AsyncLocalStorage } from 'node:async_hooks';

/** Headers that tie the spans of one request together; every service hands on what it received. */
export const traceHeaders = [
  'x-request-id',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'b3',
  'traceparent',
  'tracestate',
  'baggage',
] as const;

const current = new AsyncLocalStorage<Readonly<Record<string, string>>>();

/** Runs `work` with the trace headers of the request that it belongs to. */
export function withTrace<T>(read: (header: string) => string | undefined, work: () => T): T {
  const headers: Record<string, string> = {};
  for (const name of traceHeaders) {
    const value = read(name);
    if (value !== undefined) headers[name] = value;
  }
  return current.run(headers, work);
}

/** The trace headers of the request that is being served. */
export function currentTrace(): Readonly<Record<string, string>> {
  return current.getStore() ?? {};
}
