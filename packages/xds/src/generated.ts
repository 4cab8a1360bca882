import type { Origin } from '@istio-ts/mesh/model';

/** A resource made by a generator, with the configuration objects that it came from (design, rule 3). */
export interface Generated<T> {
  readonly resource: T;
  readonly origins: readonly Origin[];
}
