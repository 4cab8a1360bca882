import type { SourceCollection } from '@istio-ts/collections';
import { type LabelSelector, labelSelectorMatches } from '@istio-ts/kube';

/** A source whose entries count only while their namespace is selected; the others wait. */
interface Gated {
  readonly waiting: ReadonlyMap<string, unknown>;
  namespaceOf(key: string): string;
  /** Puts an entry into the source or takes it out. */
  move(key: string, selected: boolean): void;
  keys(): Iterable<string>;
}

/**
 * Which namespaces belong to the mesh (MeshConfig, `discoverySelectors`). Objects of the others are kept aside, so that they are there at once when
 * their namespace's labels or the selectors change. Without selectors all namespaces belong to it, and nothing is kept.
 */
export class DiscoverySelection {
  #selectors: readonly LabelSelector[] = [];
  readonly #labelsOf: (namespace: string) => Readonly<Record<string, string>> | undefined;
  readonly #gated: Gated[] = [];

  constructor(labelsOf: (namespace: string) => Readonly<Record<string, string>> | undefined) {
    this.#labelsOf = labelsOf;
  }

  /** Whether objects of a namespace count; those of no namespace always do. */
  selects(namespace: string): boolean {
    if (this.#selectors.length === 0 || namespace === '') return true;
    const labels = this.#labelsOf(namespace);
    return labels !== undefined && this.#selectors.some((selector) => labelSelectorMatches(selector, labels));
  }

  /** The selectors changed: entries of all namespaces are looked at again. */
  setSelectors(selectors: readonly LabelSelector[]): void {
    if (JSON.stringify(selectors) === JSON.stringify(this.#selectors)) return;
    this.#selectors = selectors;
    this.#sort(() => true);
  }

  /** Labels of these namespaces changed. */
  reconsider(namespaces: Iterable<string>): void {
    if (this.#selectors.length === 0) return;
    const changed = new Set(namespaces);
    this.#sort((namespace) => changed.has(namespace));
  }

  /** A door to a source; all entries of it go through. */
  gate<T>(source: SourceCollection<T>, namespaceOf: (key: string) => string): Gate<T> {
    const gate = new Gate(source, namespaceOf, (namespace) => this.selects(namespace));
    this.#gated.push(gate);
    return gate;
  }

  #sort(concerned: (namespace: string) => boolean): void {
    for (const gated of this.#gated)
      for (const key of [...gated.keys()]) {
        const namespace = gated.namespaceOf(key);
        if (concerned(namespace)) gated.move(key, this.selects(namespace));
      }
  }
}

export class Gate<T> implements Gated {
  readonly waiting = new Map<string, T>();
  readonly namespaceOf: (key: string) => string;
  readonly #source: SourceCollection<T>;
  readonly #selects: (namespace: string) => boolean;

  constructor(
    source: SourceCollection<T>,
    namespaceOf: (key: string) => string,
    selects: (namespace: string) => boolean,
  ) {
    this.#source = source;
    this.namespaceOf = namespaceOf;
    this.#selects = selects;
  }

  set(key: string, value: T): void {
    if (this.#selects(this.namespaceOf(key))) {
      this.waiting.delete(key);
      this.#source.set(key, value);
    } else {
      this.waiting.set(key, value);
      this.#source.delete(key);
    }
  }

  delete(key: string): void {
    this.waiting.delete(key);
    this.#source.delete(key);
  }

  /** Whether there is such an entry, selected or not. */
  has(key: string): boolean {
    return this.#source.has(key) || this.waiting.has(key);
  }

  *keys(): Iterable<string> {
    yield* this.#source.keys();
    yield* this.waiting.keys();
  }

  move(key: string, selected: boolean): void {
    const from = selected ? this.waiting.get(key) : this.#source.get(key);
    if (from === undefined) return;
    if (selected) {
      this.waiting.delete(key);
      this.#source.set(key, from);
    } else {
      this.waiting.set(key, from);
      this.#source.delete(key);
    }
  }
}
