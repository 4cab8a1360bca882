import type { Origin } from '@istio-ts/mesh/model';

/** An Envoy resource and the configuration objects that it came from. */
export interface Generated<T> {
  readonly resource: T;
  readonly origins: readonly Origin[];
}

/** Origins without repetition, in order of first appearance. */
export function uniqueOrigins(origins: Iterable<Origin>): readonly Origin[] {
  const seen = new Map<string, Origin>();
  for (const origin of origins) {
    const key = `${origin.kind}/${origin.namespace}/${origin.name}`;
    if (!seen.has(key)) {
      seen.set(key, origin);
    }
  }
  return [...seen.values()];
}
