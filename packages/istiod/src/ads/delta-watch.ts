import type { XdsResource } from '@istio-ts/xds';
import { ABSENT, ClientState } from './client-state.ts';
import { isAskedByName, TypeUrl } from './resource-kinds.ts';
import { SubscribedNames } from './subscribed-names.ts';
import { type Answer, Watch, type WatchRequest, type WatchUpdate } from './watch.ts';

/** The part of a DeltaDiscoveryRequest that concerns one type. */
export interface DeltaRequest extends WatchRequest {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** What the client has from an earlier stream. */
  readonly initialVersions: Readonly<Record<string, string>>;
}

/** One type of the incremental protocol (Envoy, "xDS REST and gRPC protocol", incremental xDS). */
export class DeltaWatch extends Watch {
  readonly #names = new SubscribedNames();
  readonly #client = new ClientState();
  /** Route configurations that were asked for by a client that has nothing of them. */
  readonly #fresh = new Set<string>();
  #isFirst = true;

  receive(request: DeltaRequest, now: number): Answer {
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (isFirst) {
      // A first request without names asks for everything, of types where that exists.
      const legacyWildcard = request.subscribe.length === 0 && !isAskedByName(this.typeUrl);
      this.wildcard = legacyWildcard;
      // Even a client that has everything gets an empty response, so that its state shows as acknowledged.
      this.answerDue = legacyWildcard || request.subscribe.length > 0;
      this.changed = true;
    }
    const answer = isFirst ? 'first' : this.settle(request, now);
    for (const name of request.subscribe) {
      if (name === '*') this.#subscribeAll();
      else this.#subscribe(name, isFirst && request.initialVersions[name] !== undefined);
      this.changed = true;
    }
    if (isFirst)
      // Clients may list what they no longer ask for.
      for (const [name, version] of Object.entries(request.initialVersions))
        if (this.wants(name)) this.#client.deviate(name, version);
    for (const name of request.unsubscribe) {
      if (name === '*') this.wildcard = false;
      else this.#unsubscribe(name);
    }
    this.#names.settle();
    return answer;
  }

  /** Route configurations that the client has from an earlier stream. */
  resumed(): readonly string[] {
    return [...this.#names].filter((name) => !this.#fresh.has(name));
  }

  /** Whether the client asked for a route configuration without having it, since the last call. */
  takeFresh(name: string): boolean {
    return this.#fresh.delete(name);
  }

  wants(name: string): boolean {
    return this.wildcard || this.#names.has(name);
  }

  asksFor(name: string): boolean {
    return this.#names.has(name);
  }

  protected askedNames(): Iterable<string> {
    return this.#names;
  }

  protected get resourceCount(): number {
    const { table } = this.#client;
    if (this.wildcard) return table.size;
    let count = 0;
    for (const name of this.#names) if (table.has(name)) count++;
    return count;
  }

  protected override refused(sent: WatchUpdate, offenders: ReadonlySet<string>): void {
    // Envoy takes the others of a response. Where it does not say which one is wrong nothing is sent again before it changes, or it would be refused again.
    const names = offenders.size > 0 ? offenders : new Set(sent.resources.map(({ name }) => name));
    this.#client.refused(names, names);
  }

  #subscribeAll(): void {
    if (this.wildcard) return;
    this.wildcard = true;
    const had = [...this.#names].map((name) => [name, this.#client.versionOf(name)] as const);
    this.#client.reset();
    for (const [name, version] of had) this.#client.deviate(name, version);
  }

  #subscribe(name: string, hasIt: boolean): void {
    // Whoever subscribes does not have it, unless it has just said so: again means again.
    if (!hasIt) {
      this.forced.add(name);
      if (this.typeUrl === TypeUrl.route) this.#fresh.add(name);
    }
    this.#names.add(name);
  }

  #unsubscribe(name: string): void {
    const had = this.#names.delete(name);
    this.forced.delete(name);
    this.#fresh.delete(name);
    if (!had) return;
    this.#client.forget(name);
    // Still wanted by the wildcard, but the client may have dropped it.
    if (this.wildcard) this.changed = true;
  }

  protected collect(resources: ReadonlyMap<string, XdsResource>, holdRemovals: boolean): WatchUpdate {
    const updated: XdsResource[] = [];
    const removed: string[] = [];
    const held = new Map<string, string | undefined>();
    const candidates = this.#client.candidates(resources);
    for (const name of this.forced) candidates.add(name);
    for (const name of candidates) {
      if (!this.wants(name)) continue;
      const has = this.#client.versionOf(name);
      const forced = this.forced.has(name);
      const resource = resources.get(name);
      if (resource !== undefined) {
        if (forced || (has !== resource.version && !this.#client.isRefused(resource))) updated.push(resource);
        else if (has !== resource.version) held.set(name, has);
        continue;
      }
      if (this.#names.has(name)) {
        // A client that waits for something that does not exist is told once, and again when it asks again.
        if (forced || (has !== ABSENT && !holdRemovals)) removed.push(name);
        else if (has !== ABSENT) held.set(name, has);
      } else if (has !== undefined && has !== ABSENT) {
        if (holdRemovals) held.set(name, has);
        else removed.push(name);
      }
    }
    const isHolding = holdRemovals && [...held.keys()].some((name) => !resources.has(name));
    this.#client.moveTo(resources, held);
    this.forced.clear();
    this.changed = isHolding;
    return { resources: updated, removed };
  }
}
