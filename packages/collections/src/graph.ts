/** What the graph needs to know of a node. */
export interface GraphNode {
  readonly name: string;
  /** Position in the graph: greater than that of everything it reads. */
  readonly order: number;
  /** Recomputes what is stale and passes the differences on; called once per propagation and node. */
  update(): void;
}

/** A transformation threw: its previous output for the key stays. */
export interface TransformationError {
  readonly collection: string;
  readonly key: string;
  readonly error: unknown;
}

export interface GraphOptions {
  /** Hears of transformations that throw; by default the error is thrown out of the batch after everything else was done. */
  readonly onError?: (error: TransformationError) => void;
}

/**
 * Owns a set of collections that are derived from each other, and propagates changes through them: synchronously at the end of the outermost
 * batch, each node at most once, a node after everything that it reads. A node may read only nodes that were made before it, so the order of
 * creation is a topological order and nobody ever sees a mixture of old and new inputs.
 */
export class Graph {
  readonly #onError: ((error: TransformationError) => void) | undefined;
  readonly #stale: GraphNode[] = [];
  readonly #queued = new Set<GraphNode>();
  readonly #errors: TransformationError[] = [];
  #notifications: (() => void)[] = [];
  #nextOrder = 0;
  #depth = 0;
  #flushing = false;
  #propagating = false;

  constructor(options: GraphOptions = {}) {
    this.#onError = options.onError;
  }

  /**
   * Runs `change`, which may change any number of sources, then propagates once and notifies subscribers once. Derived collections keep their
   * old contents until the outermost batch ends, or until a collection is made inside it. Batches nest.
   */
  batch<R>(change: () => R): R {
    this.#depth++;
    let result: R;
    try {
      result = change();
    } finally {
      this.#depth--;
      if (this.#depth === 0) this.#flush();
    }
    return result;
  }

  /** For nodes: the next position in the graph. What is pending is propagated first, so that a node never starts from the middle of a change. */
  takeOrder(): number {
    this.#propagate();
    return this.#nextOrder++;
  }

  /** For nodes: have `update` called in this propagation. */
  schedule(node: GraphNode): void {
    if (this.#queued.has(node)) return;
    this.#queued.add(node);
    // Kept sorted by descending order, so that the next one is at the end; there are few stale nodes at any time.
    let at = this.#stale.length;
    while (at > 0 && (this.#stale[at - 1]?.order ?? 0) < node.order) at--;
    this.#stale.splice(at, 0, node);
  }

  /** For nodes: have `notify` called when this propagation is over. */
  afterPropagation(notify: () => void): void {
    this.#notifications.push(notify);
  }

  /** For nodes: a transformation failed. */
  report(error: TransformationError): void {
    if (this.#onError) this.#onError(error);
    else this.#errors.push(error);
  }

  #flush(): void {
    // A subscriber that changes a source starts another round after this one; it never disturbs it.
    if (this.#flushing) return;
    this.#flushing = true;
    const failures: unknown[] = [];
    try {
      while (this.#stale.length > 0 || this.#notifications.length > 0) {
        this.#propagate();
        const notifications = this.#notifications;
        this.#notifications = [];
        // A subscriber that fails must not keep the news from the others.
        for (const notify of notifications) {
          try {
            notify();
          } catch (error) {
            failures.push(error);
          }
        }
      }
    } finally {
      this.#flushing = false;
    }
    const [first] = this.#errors.splice(0);
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) throw new AggregateError(failures, 'Subscribers of changes failed');
    if (first)
      throw new Error(`${first.collection}: the transformation of ${first.key} failed`, { cause: first.error });
  }

  #propagate(): void {
    if (this.#propagating) return;
    this.#propagating = true;
    try {
      for (let node = this.#stale.pop(); node !== undefined; node = this.#stale.pop()) {
        this.#queued.delete(node);
        node.update();
      }
    } finally {
      this.#propagating = false;
    }
  }
}
