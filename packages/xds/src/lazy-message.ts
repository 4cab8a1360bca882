import type { Generated } from './generated.ts';

/**
 * A message whose parts are made again whenever somebody reads them after they were let go: once it is encoded nobody does, and its identity is all
 * that is needed to know that it did not change. `make` must be a pure function. What is small (texts, numbers) is kept.
 */
export function lazyMessage<T extends object>(make: () => T, first = make()): T {
  let last = new WeakRef(first);
  const parts = (): T => {
    const kept = last.deref();
    if (kept !== undefined) return kept;
    const made = make();
    last = new WeakRef(made);
    return made;
  };
  const message = {};
  for (const [name, value] of Object.entries(first))
    Object.defineProperty(message, name, {
      enumerable: true,
      ...(typeof value === 'object' && value !== null
        ? { get: () => (parts() as Readonly<Record<string, unknown>>)[name] }
        : { value }),
    });
  return message as T;
}

/** The same for a message with its origins. */
export function lazilyGenerated<T extends object>(make: () => Generated<T>): Generated<T> {
  const { resource, origins } = make();
  return { resource: lazyMessage(() => make().resource, resource), origins };
}
