import { Cell, Collection, type CollectionOptions } from './collection.ts';
import type { Graph } from './graph.ts';

/** A collection that is changed from outside. Each call is a batch of its own unless it runs inside `graph.batch`. */
export class SourceCollection<T> extends Collection<T> {
  /** Adds or replaces; a value equal to the present one changes nothing. */
  set(key: string, value: T): void {
    this.#change(() => this.put(key, value));
  }

  delete(key: string): void {
    this.#change(() => this.put(key, undefined));
  }

  /** Makes the content exactly `entries`. */
  replace(entries: Iterable<readonly [string, T]>): void {
    this.#change(() => {
      const next = new Map(entries);
      for (const key of [...this.keys()]) if (!next.has(key)) this.put(key, undefined);
      for (const [key, value] of next) this.put(key, value);
    });
  }

  protected override recompute(): void {}

  #change(change: () => void): void {
    this.graph.batch(() => {
      change();
      this.graph.schedule(this);
    });
  }
}

/** A single value that is changed from outside. */
export class SourceCell<T> extends Cell<T> {
  constructor(graph: Graph, initial: T, options: CollectionOptions<T> = {}) {
    super(graph, options);
    this.set(initial);
  }

  set(value: T): void {
    this.graph.batch(() => {
      this.put('', value);
      this.graph.schedule(this);
    });
  }

  protected override recompute(): void {}
}
