import type { XdsResource } from '@istio-ts/xds';
import { isAskedByName, TypeUrl } from './resource-kinds.ts';
import { type Answer, Watch, type WatchRequest, type WatchUpdate } from './watch.ts';

/** The part of a DiscoveryRequest that concerns one type. */
export interface WorldRequest extends WatchRequest {
  readonly names: readonly string[];
}

/**
 * One type of the state-of-the-world protocol: clusters and listeners (and everything else asked for without names) are
 * always sent whole, the types that are asked for by name only as far as they changed (Envoy, "xDS REST and gRPC
 * protocol", "How the client specifies what resources to return").
 */
export class WorldWatch extends Watch {
  /** Names and versions that the client has been sent. */
  readonly #known = new Map<string, string>();
  readonly #names = new Set<string>();
  #isFirst = true;
  /** A request that only repeats what was answered wants the resources again: its clusters or listeners are new. */
  #repeatIsRequest = false;

  /** Call after sending what makes the client ask again. */
  expectRepeat(): void {
    this.#repeatIsRequest = true;
  }

  receive(request: WorldRequest, now: number): Answer {
    const answer = this.#isFirst ? 'first' : this.settle(request, now);
    if (answer === 'stale') return answer;
    const wanted = new Set(request.names);
    const asksAll = wanted.delete('*');
    const hadAll = this.wildcard;
    if (this.#isFirst) this.wildcard = asksAll || (wanted.size === 0 && !isAskedByName(this.typeUrl));
    else if (wanted.size > 0 || asksAll) this.wildcard = asksAll;
    // Names first and everything later is a new request too.
    let added = this.wildcard && !hadAll;
    for (const name of this.#names) {
      if (wanted.has(name)) continue;
      this.#names.delete(name);
      this.#known.delete(name);
    }
    for (const name of wanted) {
      if (this.#names.has(name)) continue;
      this.#names.add(name);
      this.forced.add(name);
      added = true;
    }
    if (this.#isFirst || added) this.answerDue = this.wildcard || this.#names.size > 0;
    // With new names in it a request may be an answer and the repetition at once.
    if (this.#repeatIsRequest && (added || answer === 'request')) {
      for (const name of this.#names) this.forced.add(name);
      this.answerDue = this.#names.size > 0;
      this.#repeatIsRequest = false;
    }
    if (this.#isFirst || (this.wildcard && !hadAll)) this.changed = true;
    this.#isFirst = false;
    return answer;
  }

  wants(name: string): boolean {
    return this.wildcard || this.#names.has(name);
  }

  protected askedNames(): Iterable<string> {
    return this.#names;
  }

  protected get resourceCount(): number {
    return this.#known.size;
  }

  protected collect(resources: ReadonlyMap<string, XdsResource>): WatchUpdate {
    const whole = this.wildcard || this.typeUrl === TypeUrl.cluster || this.typeUrl === TypeUrl.listener;
    const wanted: XdsResource[] = [];
    if (this.wildcard) wanted.push(...resources.values());
    else {
      for (const name of this.#names) {
        const resource = resources.get(name);
        if (resource !== undefined) wanted.push(resource);
      }
    }
    const updated = wanted.filter(
      (resource) => this.#known.get(resource.name) !== resource.version || this.forced.has(resource.name),
    );
    const before = this.#known.size;
    const present = new Set(wanted.map((resource) => resource.name));
    for (const name of this.#known.keys()) if (!present.has(name)) this.#known.delete(name);
    const vanished = this.#known.size !== before;
    for (const resource of updated) this.#known.set(resource.name, resource.version);
    this.forced.clear();
    this.changed = false;
    if (!whole) return { resources: updated, removed: [] };
    if (updated.length === 0 && !vanished && !this.answerDue) return { resources: [], removed: [] };
    // An empty world is a message too: the last cluster or listener is gone.
    if (vanished) this.answerDue = true;
    return { resources: wanted, removed: [] };
  }
}
