import type { Span } from './span.ts';

/** A server's span of the service `shop` with these changes. */
export const span = (changes: Partial<Span> & Pick<Span, 'id'>): Span => ({
  traceId: '00000000000000aa',
  kind: 'server',
  name: 'GET /',
  service: 'shop',
  start: 1_700_000_000_000_000,
  duration: 1000,
  tags: {},
  logs: [],
  processTags: {},
  shared: false,
  format: 'zipkin',
  ...changes,
});
