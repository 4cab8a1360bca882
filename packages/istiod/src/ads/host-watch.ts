import type { XdsResource } from '@istio-ts/xds';
import { ABSENT, ClientState } from './client-state.ts';
import type { DeltaRequest } from './delta-watch.ts';
import { TypeUrl } from './resource-kinds.ts';
import { type Answer, Watch, type WatchUpdate } from './watch.ts';

type Tables = ReadonlyMap<string, ReadonlyMap<string, XdsResource>>;

/** The virtual hosts of one route configuration with one client. */
interface Routes {
  readonly client: ClientState;
  /** The client waits for all of them, and until then answers no request by them. */
  full: boolean;
  /** It has some from an earlier stream; which ones its first request will say. */
  resumed: boolean;
}

interface Outstanding extends WatchUpdate {
  readonly routes: string;
}

const none: ReadonlyMap<string, XdsResource> = new Map();

/** Name of the route configuration of a virtual host resource. */
const routesOf = (host: string): string => host.slice(0, host.lastIndexOf('/'));

/**
 * Virtual hosts on a delta stream (Envoy, "Virtual Host Discovery Service", without on-demand requests). Envoy asks only once on a stream, so the
 * hosts of each route configuration follow it unasked; a response speaks of one route configuration, and at most one of each is unanswered, because
 * every response makes Envoy build the whole table anew.
 */
export class HostWatch extends Watch {
  readonly #routes = new Map<string, Routes>();
  readonly #outstanding = new Map<string, Outstanding>();
  /** The client has said what it has. */
  #asked = false;

  constructor() {
    super(TypeUrl.virtualHost);
    this.wildcard = true;
  }

  override get outstanding(): boolean {
    return this.#outstanding.size > 0;
  }

  /** A client that has a route configuration from an earlier stream asks for it again. */
  resume(name: string): void {
    if (!this.#routes.has(name))
      this.#routes.set(name, { client: new ClientState(), full: false, resumed: !this.#asked });
    this.changed = true;
  }

  /** A route configuration was sent to a client; `fresh` where it did not have it before. */
  routesSent(name: string, fresh: boolean): void {
    if (fresh) this.#routes.set(name, { client: new ClientState(), full: true, resumed: false });
    this.changed = true;
  }

  /** The client has taken the route configurations: what it has from an earlier stream it would have said before. */
  routesTaken(): void {
    for (const routes of this.#routes.values()) {
      if (!routes.resumed) continue;
      routes.resumed = false;
      routes.full = true;
      this.changed = true;
    }
  }

  /** Forgets the route configurations that the client asks for no longer. */
  keepOnly(isAsked: (name: string) => boolean): void {
    for (const name of this.#routes.keys()) if (!isAsked(name)) this.#routes.delete(name);
  }

  receive(request: DeltaRequest, now: number): Answer {
    const isFirst = !this.#asked;
    this.#asked = true;
    if (isFirst) {
      for (const [name, version] of Object.entries(request.initialVersions)) {
        // Envoy keeps versions of route configurations that it no longer has; those that it has anew get everything.
        const routes = this.#routes.get(routesOf(name));
        if (routes?.resumed) routes.client.deviate(name, version);
      }
      for (const routes of this.#routes.values()) {
        if (!routes.resumed) continue;
        routes.resumed = false;
        routes.full = routes.client.isAt(none);
      }
      this.changed = true;
    }
    for (const name of request.subscribe) {
      if (name === '*') continue;
      this.forced.add(name);
      this.changed = true;
    }
    if (request.nonce === '') return isFirst ? 'first' : 'request';
    const answered = this.#outstanding.get(request.nonce);
    if (answered === undefined) return this.nonceSent === '' ? 'first' : 'stale';
    // Responses are digested in their order.
    for (const nonce of this.#outstanding.keys()) {
      this.#outstanding.delete(nonce);
      if (nonce === request.nonce) break;
    }
    return this.answered(answered, request, now);
  }

  wants(): boolean {
    return true;
  }

  protected askedNames(): Iterable<string> {
    return [];
  }

  protected get resourceCount(): number {
    let count = 0;
    for (const { client } of this.#routes.values()) count += client.table.size;
    return count;
  }

  /** What is to be sent now: hosts of one route configuration that has nothing unanswered. */
  takeHosts(tables: Tables): WatchUpdate | undefined {
    if (!this.due) return undefined;
    const busy = new Set([...this.#outstanding.values()].map(({ routes }) => routes));
    let left = false;
    for (const [name, routes] of this.#routes) {
      if (busy.has(name) || routes.resumed) {
        left ||= busy.has(name);
        continue;
      }
      const table = tables.get(name);
      // Route configurations that are sent whole have no hosts of their own.
      if (table === undefined && (routes.full || routes.client.isAt(none))) continue;
      const update = this.#collectOf(name, routes, table ?? none);
      if (update !== undefined) return update;
    }
    this.forced.clear();
    this.changed = left;
    return undefined;
  }

  #collectOf(name: string, routes: Routes, table: ReadonlyMap<string, XdsResource>): WatchUpdate | undefined {
    const { client, full } = routes;
    const forced = [...this.forced].filter((host) => routesOf(host) === name);
    if (!full && forced.length === 0 && client.isAt(table)) return undefined;
    const resources: XdsResource[] = [];
    const removed: string[] = [];
    const held = new Map<string, string | undefined>();
    const candidates = client.candidates(table);
    for (const host of forced) candidates.add(host);
    for (const host of candidates) {
      const has = client.versionOf(host);
      const resource = table.get(host);
      const again = forced.includes(host);
      if (resource === undefined) {
        if (again || (has !== undefined && has !== ABSENT)) removed.push(host);
      } else if (again || (has !== resource.version && !client.isRefused(resource))) resources.push(resource);
      else if (has !== resource.version) held.set(host, has);
    }
    client.moveTo(table, held);
    for (const host of forced) this.forced.delete(host);
    routes.full = false;
    // An empty response does not end Envoy's waiting for the hosts; the removal of one that never was does.
    if (full && resources.length === 0 && removed.length === 0) removed.push(`${name}/none`);
    return resources.length > 0 || removed.length > 0 ? { resources, removed } : undefined;
  }

  override markSent(nonce: string, update: WatchUpdate, now: number): void {
    const first = update.resources[0]?.name ?? update.removed[0] ?? '';
    this.#outstanding.set(nonce, { ...update, routes: routesOf(first) });
    this.noteSent(nonce, now);
  }

  protected override refused(sent: WatchUpdate, offenders: ReadonlySet<string>): void {
    const [first] = [...sent.resources.map(({ name }) => name), ...sent.removed];
    const client = first === undefined ? undefined : this.#routes.get(routesOf(first))?.client;
    // Envoy takes nothing of a response with a bad host: the others go again, without it.
    client?.refused([...sent.resources.map(({ name }) => name), ...sent.removed], offenders);
    if (offenders.size > 0) this.changed = true;
  }

  protected collect(): WatchUpdate {
    return { resources: [], removed: [] };
  }
}
