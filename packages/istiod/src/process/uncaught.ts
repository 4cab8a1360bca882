import type { EventEmitter } from 'node:events';
import type { Logger } from '../log.ts';

/**
 * Keeps the process alive when an error reaches nobody: proxies have their configuration from it, and one bad object or connection must not take it
 * from all of them. Each such error is a mistake of ours, so it is logged with its stack and counted. Returns how to take this back.
 */
export function surviveUncaught(emitter: EventEmitter, log: Logger, count: () => void): () => void {
  const report =
    (kind: string) =>
    (error: unknown): void => {
      count();
      log.error(`${kind}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    };
  const exception = report('uncaught exception');
  const rejection = report('unhandled rejection');
  emitter.on('uncaughtException', exception);
  emitter.on('unhandledRejection', rejection);
  return () => {
    emitter.off('uncaughtException', exception);
    emitter.off('unhandledRejection', rejection);
  };
}
