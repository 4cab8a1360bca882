import type { ProxyNode, ProxyView, XdsResource } from '@istio-ts/xds';
import type { AdsMetrics } from '../metrics/pilot.ts';
import { DeltaWatch } from './delta-watch.ts';
import { HostWatch } from './host-watch.ts';
import { needsClusters, pushRank, shortName, TypeUrl } from './resource-kinds.ts';
import { type PushResponse, sizeOf } from './response.ts';
import type { Answer, Rejection, Watch, WatchStatus, WatchUpdate } from './watch.ts';
import { WorldWatch } from './world-watch.ts';

/** How long routes and listeners wait for a proxy that does not answer about its clusters. */
const MAX_ORDER_WAIT_MS = 5000;

export interface SessionOptions<W extends Watch> {
  readonly node: ProxyNode;
  readonly view: ProxyView;
  readonly makeWatch: (typeUrl: string) => W;
  /** Hands a response to the transport; undefined where it took it at once, else resolves when it did. */
  readonly send: (response: PushResponse) => Promise<void> | undefined;
  readonly metrics: AdsMetrics;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly onRejection: (typeUrl: string, rejection: Rejection) => void;
  /** Generation or the transport failed; the stream is to end. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * What one connected proxy wants and has, over all types of its stream: decides what is sent when. At most one response
 * per type is unanswered; changes meanwhile merge, so a slow proxy costs no memory and gets the newest state next.
 */
export class Session<W extends Watch = Watch> {
  readonly node: ProxyNode;
  readonly view: ProxyView;
  readonly #options: SessionOptions<W>;
  readonly #watches = new Map<string, W | HostWatch>();
  /** In the order of a push. */
  #ordered: (W | HostWatch)[] = [];
  /** Clusters that were sent and whose endpoints should arrive before routes that refer to them. */
  readonly #awaited = new Set<string>();
  /** Types of which the proxy has refused a response and not taken a later one. */
  readonly #rejected = new Set<string>();
  #pumping = false;
  /** Something changed while responses were being sent. */
  #again = false;
  #closed = false;
  #nonce = 0;
  #changedAt: number | undefined;
  #orderTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #unsubscribe: () => void;

  constructor(options: SessionOptions<W>) {
    this.#options = options;
    this.node = options.node;
    this.view = options.view;
    this.#unsubscribe = options.view.onChange((changed) => {
      this.#changedAt ??= options.now();
      for (const typeUrl of changed) this.#watches.get(typeUrl)?.markChanged();
      this.pump();
    });
  }

  /** The watch of a type, made at the first request. */
  watch(typeUrl: string): W | HostWatch {
    const known = this.#watches.get(typeUrl);
    if (known !== undefined) return known;
    const made =
      typeUrl === TypeUrl.virtualHost && this.node.incrementalRoutes
        ? new HostWatch()
        : this.#options.makeWatch(typeUrl);
    this.#watches.set(typeUrl, made);
    this.#ordered = [...this.#watches.values()].sort((a, b) => pushRank(a.typeUrl) - pushRank(b.typeUrl));
    return made;
  }

  get typeCount(): number {
    return this.#watches.size;
  }

  hasType(typeUrl: string): boolean {
    return this.#watches.has(typeUrl);
  }

  /** Call after a watch took a request. */
  received(watch: W | HostWatch, answer: Answer): void {
    const { metrics, node } = this.#options;
    const type = shortName(watch.typeUrl);
    if (answer === 'stale') metrics.expiredNonces.add({ type });
    if (answer === 'nack' && watch.rejection !== undefined) {
      metrics.rejects.add({ type });
      rejectedGauge(metrics, type)?.set(watch.rejection.resources.length, { node: node.id, type });
      this.#rejected.add(type);
      this.#options.onRejection(watch.typeUrl, watch.rejection);
    }
    if (answer === 'ack' && this.#rejected.delete(type)) rejectedGauge(metrics, type)?.remove({ node: node.id, type });
    if ((answer === 'ack' || answer === 'nack') && watch.typeUrl === TypeUrl.endpoint) this.#awaited.clear();
    if (this.node.incrementalRoutes && watch instanceof DeltaWatch && watch.typeUrl === TypeUrl.route)
      this.#followRoutesAsked(watch, answer);
    this.pump();
  }

  statuses(): WatchStatus[] {
    return this.#ordered.map((watch) => watch.status());
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#orderTimer);
    this.#unsubscribe();
    this.view.close();
    for (const type of this.#rejected) rejectedGauge(this.#options.metrics, type)?.remove({ node: this.node.id, type });
  }

  /** Sends whatever may be sent now. */
  pump(): void {
    if (this.#closed) return;
    this.#again = this.#pumping;
    if (this.#pumping) return;
    this.#pumping = true;
    // Several changes of one turn become one response.
    setImmediate(() => {
      this.#again = false;
      const { metrics, now } = this.#options;
      const started = now();
      if (this.#changedAt !== undefined) metrics.queueTime.observe((started - this.#changedAt) / 1000);
      const over = (): void => {
        this.#pumping = false;
        if (this.#again) this.pump();
      };
      const failed = (error: unknown): void => {
        if (!this.#closed) this.#options.onFailure(error);
      };
      try {
        const waiting = this.#sendNext(started);
        if (waiting !== undefined) {
          waiting.catch(failed).finally(over);
          return;
        }
      } catch (error) {
        failed(error);
      }
      over();
    });
  }

  /**
   * Sends one response; the next one has its turn when all other proxies had theirs, so that a change reaches the last of many as soon as may be.
   * Undefined when it is sent; a promise where the transport has to take it first.
   */
  #sendNext(started: number): Promise<void> | undefined {
    const { metrics, now } = this.#options;
    const next = this.#next();
    if (next !== undefined) {
      this.#again = true;
      const { watch, update } = next;
      const labels = labelsOf(watch.typeUrl);
      const nonce = `${++this.#nonce}`;
      const begun = now();
      watch.markSent(nonce, update, begun);
      this.#followClusters(watch, update);
      this.#followRoutes(watch, update);
      let size = 0;
      for (const resource of update.resources) size += sizeOf(resource);
      const sent = (): void => {
        const ended = now();
        metrics.sendTime.observe((ended - begun) / 1000, labels);
        metrics.pushes.add(labels);
        metrics.pushTime.observe((ended - started) / 1000, labels);
        metrics.configSize.observe(size, labels);
      };
      const version = `${timeText(begun)}/${nonce}`;
      const { resources, removed } = update;
      const waiting = this.#options.send({ typeUrl: watch.typeUrl, nonce, version, resources, removed });
      if (waiting !== undefined) return waiting.then(sent);
      sent();
      return undefined;
    }
    const isDone = this.#ordered.every((watch) => !watch.due);
    if (isDone && this.#changedAt !== undefined) {
      metrics.convergenceTime.observe((now() - this.#changedAt) / 1000);
      this.#changedAt = undefined;
    }
    return undefined;
  }

  #next(): { readonly watch: W | HostWatch; readonly update: WatchUpdate } | undefined {
    const take = (watch: W | HostWatch, hold: boolean): { watch: W | HostWatch; update: WatchUpdate } | undefined => {
      const update =
        watch instanceof HostWatch
          ? watch.takeHosts(this.view.virtualHosts?.() ?? noHosts)
          : watch.due && !watch.outstanding
            ? watch.take(this.view.resources(watch.typeUrl), hold)
            : undefined;
      return update === undefined ? undefined : { watch, update };
    };
    for (const watch of this.#ordered) {
      if (this.#mustWait(watch)) continue;
      // A cluster goes after the routes that referred to it, and endpoints after their cluster: Envoy asks for them no longer then.
      const hold =
        (watch.typeUrl === TypeUrl.cluster && this.#ordered.some((late) => isLate(late) && late.due)) ||
        (watch.typeUrl === TypeUrl.endpoint && this.#watches.get(TypeUrl.cluster)?.outstanding === true);
      const found = take(watch, hold);
      if (found !== undefined) return found;
    }
    const clusters = this.#watches.get(TypeUrl.cluster);
    if (clusters === undefined || this.#ordered.some((late) => isLate(late) && late.due)) return undefined;
    return take(clusters, false);
  }

  /** Whether a type has to wait for clusters (and their endpoints) that the proxy has not confirmed. */
  #mustWait(watch: Watch): boolean {
    if (!isLate(watch) || !watch.due) return false;
    const clusters = this.#watches.get(TypeUrl.cluster);
    const endpoints = this.#watches.get(TypeUrl.endpoint);
    const sentAt = clusters?.sentAt;
    if (sentAt === undefined) return false;
    const waitsForEndpoints =
      this.#awaited.size > 0 && endpoints?.awaitsAny((name) => this.#awaited.has(name)) === true;
    if (clusters?.outstanding !== true && !waitsForEndpoints) return false;
    const left = sentAt + MAX_ORDER_WAIT_MS - this.#options.now();
    if (left <= 0) return false;
    if (this.#orderTimer === undefined) {
      this.#orderTimer = setTimeout(() => {
        this.#orderTimer = undefined;
        this.pump();
      }, left);
      this.#orderTimer.unref();
    }
    return true;
  }

  /** A proxy that gets a cluster or listener anew needs what belongs to it again, even if that did not change. */
  #followClusters(watch: Watch, update: WatchUpdate): void {
    const follower =
      watch.typeUrl === TypeUrl.cluster ? TypeUrl.endpoint : watch.typeUrl === TypeUrl.listener ? TypeUrl.route : '';
    const following = this.#watches.get(follower);
    if (following instanceof WorldWatch) following.expectRepeat();
    if (watch.typeUrl !== TypeUrl.cluster) return;
    const services = update.resources.map(endpointName);
    for (const service of services) this.#awaited.add(service);
    if (following instanceof DeltaWatch) following.force(services);
  }

  /** The hosts of a route configuration follow it. */
  #followRoutes(watch: Watch, update: WatchUpdate): void {
    if (!this.node.incrementalRoutes || watch.typeUrl !== TypeUrl.route || !(watch instanceof DeltaWatch)) return;
    const hosts = this.watch(TypeUrl.virtualHost);
    if (!(hosts instanceof HostWatch)) return;
    for (const { name } of update.resources) hosts.routesSent(name, watch.takeFresh(name));
  }

  #followRoutesAsked(watch: DeltaWatch, answer: Answer): void {
    const hosts = this.watch(TypeUrl.virtualHost);
    if (!(hosts instanceof HostWatch)) return;
    if (answer === 'first') for (const name of watch.resumed()) hosts.resume(name);
    else hosts.keepOnly((name) => watch.asksFor(name));
    if (answer === 'ack' || answer === 'nack') hosts.routesTaken();
  }
}

function isLate(watch: Watch): boolean {
  return needsClusters(watch.typeUrl);
}

const labels = new Map<string, { readonly type: string }>();

/** The identical labels for each type: their text is made once. */
function labelsOf(typeUrl: string): { readonly type: string } {
  let known = labels.get(typeUrl);
  if (known === undefined) {
    known = { type: shortName(typeUrl) };
    labels.set(typeUrl, known);
  }
  return known;
}

let lastTime = { at: Number.NaN, text: '' };

/** A time as text; many responses go out in the same millisecond. */
function timeText(at: number): string {
  if (lastTime.at !== at) lastTime = { at, text: new Date(at).toISOString() };
  return lastTime.text;
}

const noHosts: ReadonlyMap<string, ReadonlyMap<string, XdsResource>> = new Map();

const endpointNames = new WeakMap<XdsResource, string>();

/** The name under which a cluster's endpoints are asked for. */
function endpointName(cluster: XdsResource): string {
  let name = endpointNames.get(cluster);
  if (name === undefined) {
    name = readEndpointName(cluster);
    endpointNames.set(cluster, name);
  }
  return name;
}

function readEndpointName(cluster: XdsResource): string {
  const json = cluster.json() as { readonly edsClusterConfig?: { readonly serviceName?: string } } | undefined;
  const service = json?.edsClusterConfig?.serviceName;
  return service === undefined || service === '' ? cluster.name : service;
}

function rejectedGauge(metrics: AdsMetrics, type: string) {
  return type === 'cds' || type === 'eds' || type === 'lds' || type === 'rds' ? metrics.rejectedNow[type] : undefined;
}
