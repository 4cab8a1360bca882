import type { ProxyNode, ProxyView, XdsResource } from '@istio-ts/xds';
import type { AdsMetrics } from '../metrics/pilot.ts';
import { DeltaWatch } from './delta-watch.ts';
import { needsClusters, pushRank, shortName, TypeUrl } from './resource-kinds.ts';
import type { PushResponse } from './response.ts';
import type { Answer, Rejection, Watch, WatchStatus, WatchUpdate } from './watch.ts';
import { WorldWatch } from './world-watch.ts';

/** How long routes and listeners wait for a proxy that does not answer about its clusters. */
const MAX_ORDER_WAIT_MS = 5000;

export interface SessionOptions<W extends Watch> {
  readonly node: ProxyNode;
  readonly view: ProxyView;
  readonly makeWatch: (typeUrl: string) => W;
  /** Hands a response to the transport; resolves when it took it. */
  readonly send: (response: PushResponse) => Promise<void>;
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
  readonly #watches = new Map<string, W>();
  /** In the order of a push. */
  #ordered: W[] = [];
  /** Clusters that were sent and whose endpoints should arrive before routes that refer to them. */
  readonly #awaited = new Set<string>();
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
  watch(typeUrl: string): W {
    const known = this.#watches.get(typeUrl);
    if (known !== undefined) return known;
    const made = this.#options.makeWatch(typeUrl);
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
  received(watch: W, answer: Answer): void {
    const { metrics, node } = this.#options;
    const type = shortName(watch.typeUrl);
    if (answer === 'stale') metrics.expiredNonces.add({ type });
    if (answer === 'nack' && watch.rejection !== undefined) {
      metrics.rejects.add({ type });
      rejectedGauge(metrics, type)?.set(watch.rejection.resources.length, { node: node.id, type });
      this.#options.onRejection(watch.typeUrl, watch.rejection);
    }
    if (answer === 'ack') rejectedGauge(metrics, type)?.remove({ node: node.id, type });
    if ((answer === 'ack' || answer === 'nack') && watch.typeUrl === TypeUrl.endpoint) this.#awaited.clear();
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
    for (const type of ['cds', 'eds', 'lds', 'rds'])
      rejectedGauge(this.#options.metrics, type)?.remove({ node: this.node.id, type });
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
      this.#sendAll()
        .catch((error: unknown) => {
          if (!this.#closed) this.#options.onFailure(error);
        })
        .finally(() => {
          this.#pumping = false;
          if (this.#again) this.pump();
        });
    });
  }

  async #sendAll(): Promise<void> {
    const { metrics, now } = this.#options;
    const started = now();
    if (this.#changedAt !== undefined) metrics.queueTime.observe((started - this.#changedAt) / 1000);
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (this.#closed) return;
      const { watch, update } = next;
      const type = shortName(watch.typeUrl);
      const nonce = `${++this.#nonce}`;
      watch.markSent(nonce, update, now());
      this.#followClusters(watch, update);
      const begun = now();
      await this.#options.send({ typeUrl: watch.typeUrl, nonce, version: this.#version(), ...update });
      metrics.sendTime.observe((now() - begun) / 1000, { type });
      metrics.pushes.add({ type });
      metrics.pushTime.observe((now() - started) / 1000, { type });
      let size = 0;
      for (const resource of update.resources) size += resource.value.length;
      metrics.configSize.observe(size, { type });
    }
    const isDone = this.#ordered.every((watch) => !watch.due);
    if (isDone && this.#changedAt !== undefined) {
      metrics.convergenceTime.observe((now() - this.#changedAt) / 1000);
      this.#changedAt = undefined;
    }
  }

  #version(): string {
    return `${new Date(this.#options.now()).toISOString()}/${this.#nonce}`;
  }

  #next(): { readonly watch: W; readonly update: WatchUpdate } | undefined {
    const take = (watch: W, hold: boolean): { watch: W; update: WatchUpdate } | undefined => {
      const update = watch.take(this.view.resources(watch.typeUrl), hold);
      return update === undefined ? undefined : { watch, update };
    };
    for (const watch of this.#ordered) {
      if (this.#mustWait(watch)) continue;
      // A cluster goes after the routes that referred to it.
      const hold = watch.typeUrl === TypeUrl.cluster && this.#ordered.some((late) => isLate(late) && late.due);
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
      endpoints?.outstanding === true && endpoints.outstandingNames.some((name) => this.#awaited.has(name));
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
}

function isLate(watch: Watch): boolean {
  return needsClusters(watch.typeUrl);
}

/** The name under which a cluster's endpoints are asked for. */
function endpointName(cluster: XdsResource): string {
  const json = cluster.json() as { readonly edsClusterConfig?: { readonly serviceName?: string } } | undefined;
  const service = json?.edsClusterConfig?.serviceName;
  return service === undefined || service === '' ? cluster.name : service;
}

function rejectedGauge(metrics: AdsMetrics, type: string) {
  return type === 'cds' || type === 'eds' || type === 'lds' || type === 'rds' ? metrics.rejectedNow[type] : undefined;
}
