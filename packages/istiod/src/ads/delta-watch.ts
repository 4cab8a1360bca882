import type { XdsResource } from '@istio-ts/xds';
import { isAskedByName } from './resource-kinds.ts';
import { type Answer, Watch, type WatchRequest, type WatchUpdate } from './watch.ts';

/** The part of a DeltaDiscoveryRequest that concerns one type. */
export interface DeltaRequest extends WatchRequest {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** What the client has from an earlier stream. */
  readonly initialVersions: Readonly<Record<string, string>>;
}

/** The version of a name that was reported as missing. Real versions are never empty. */
const ABSENT = '';

/** One type of the incremental protocol (Envoy, "xDS REST and gRPC protocol", incremental xDS). */
export class DeltaWatch extends Watch {
  #isFirst = true;

  receive(request: DeltaRequest, now: number): Answer {
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (isFirst) {
      for (const [name, version] of Object.entries(request.initialVersions)) this.known.set(name, version);
      // A first request without names asks for everything, of types where that exists.
      const legacyWildcard = request.subscribe.length === 0 && !isAskedByName(this.typeUrl);
      this.wildcard = legacyWildcard;
      // Even a client that has everything gets an empty response, so that its state shows as acknowledged.
      this.answerDue = legacyWildcard || request.subscribe.length > 0;
      this.changed = true;
    }
    const answer = isFirst ? 'first' : this.settle(request, now);
    for (const name of request.subscribe) {
      if (name === '*') {
        this.wildcard = true;
      } else {
        // Whoever subscribes does not have it, unless it has just said so: again means again.
        if (!isFirst || !this.known.has(name)) this.forced.add(name);
        this.names.add(name);
      }
      this.changed = true;
    }
    if (isFirst && !this.wildcard) {
      // Clients may list what they no longer ask for.
      for (const name of this.known.keys()) if (!this.names.has(name)) this.known.delete(name);
    }
    for (const name of request.unsubscribe) {
      if (name === '*') {
        this.wildcard = false;
        for (const known of [...this.known.keys()]) if (!this.names.has(known)) this.known.delete(known);
        continue;
      }
      const had = this.names.delete(name);
      this.forced.delete(name);
      this.known.delete(name);
      // Still wanted by the wildcard, but the client may have dropped it.
      if (had && this.wildcard) this.changed = true;
    }
    return answer;
  }

  protected collect(resources: ReadonlyMap<string, XdsResource>, holdRemovals: boolean): WatchUpdate {
    const updated: XdsResource[] = [];
    const removed: string[] = [];
    const consider = (resource: XdsResource): void => {
      if (this.known.get(resource.name) === resource.version && !this.forced.has(resource.name)) return;
      updated.push(resource);
      this.known.set(resource.name, resource.version);
    };
    if (this.wildcard) for (const resource of resources.values()) consider(resource);
    for (const name of this.names) {
      const resource = resources.get(name);
      if (resource !== undefined) {
        if (!this.wildcard) consider(resource);
        continue;
      }
      // A client that waits for something that does not exist is told once, and again when it asks again.
      if (this.known.get(name) !== ABSENT || this.forced.has(name)) {
        this.known.set(name, ABSENT);
        removed.push(name);
      }
    }
    let held = false;
    for (const [name, version] of this.known) {
      if (version === ABSENT || resources.has(name)) continue;
      if (holdRemovals) {
        held = true;
        continue;
      }
      this.known.delete(name);
      removed.push(name);
    }
    this.forced.clear();
    this.changed = held;
    return { resources: updated, removed };
  }
}
