import { createHash } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { KubeClient } from '@istio-ts/kube';
import type { MetricsStore } from '../storage/store.ts';
import type { StoreConfig } from './config.ts';
import { type Discovery, watchKubernetes } from './discovery.ts';
import type { MetricMetadata } from './exposition.ts';
import { fetchMetrics } from './fetch-metrics.ts';
import { type DroppedTarget, type Target, targetsOf } from './target.ts';
import { TargetScraper } from './target-scraper.ts';

/** Changes of the cluster come in crowds. */
const SETTLE_MS = 500;
/** More dropped targets are counted only. */
const MAX_DROPPED = 500;

export interface ScrapeManagerOptions {
  readonly store: MetricsStore;
  /** Undefined where there is no cluster to ask; jobs that discover in one then find nothing. */
  readonly client: KubeClient | undefined;
  readonly ownNamespace: string;
  readonly now: () => number;
  readonly log: (line: string) => void;
}

interface Running {
  readonly scraper: TargetScraper;
  timer: NodeJS.Timeout;
  stopped: boolean;
}

/** Scrapes what a configuration says, each target at its interval. */
export class ScrapeManager {
  readonly #options: ScrapeManagerOptions;
  readonly #agents = {
    http: new HttpAgent({ keepAlive: true, maxFreeSockets: 1 }),
    https: new HttpsAgent({ keepAlive: true, maxFreeSockets: 1 }),
  };
  readonly #running = new Map<string, Running>();
  #config: StoreConfig;
  #discovery: Discovery | undefined;
  #settle: NodeJS.Timeout | undefined;
  #lastWatchError = '';
  #dropped: readonly DroppedTarget[] = [];
  #closed = false;

  constructor(config: StoreConfig, options: ScrapeManagerOptions) {
    this.#config = config;
    this.#options = options;
    this.#watch();
  }

  get config(): StoreConfig {
    return this.#config;
  }

  /** Follows another configuration; targets that are in both keep their series. */
  reload(config: StoreConfig): void {
    this.#discovery?.close();
    this.#config = config;
    this.#watch();
  }

  #watch(): void {
    const { client, ownNamespace, log } = this.#options;
    for (const warning of this.#config.warnings) log(warning);
    const discoveries = this.#config.scrapes.flatMap(({ kubernetes }) => kubernetes);
    this.#discovery = undefined;
    if (discoveries.length > 0 && !client)
      log('there is no Kubernetes to find targets in: run in a pod or give a kubeconfig');
    if (discoveries.length > 0 && client)
      this.#discovery = watchKubernetes(
        client,
        ownNamespace,
        discoveries,
        () => this.#changed(),
        (error) => {
          if (error.message === this.#lastWatchError) return;
          this.#lastWatchError = error.message;
          log(`watching the cluster: ${error.message}`);
        },
      );
    this.#update();
  }

  #changed(): void {
    if (this.#closed) return;
    this.#settle ??= setTimeout(() => {
      this.#settle = undefined;
      this.#update();
    }, SETTLE_MS);
  }

  #update(): void {
    const wanted = new Map<string, Target>();
    const dropped: DroppedTarget[] = [];
    for (const config of this.#config.scrapes) {
      const discovered = config.kubernetes.flatMap((entry) => this.#discovery?.targets(entry) ?? []);
      const found = targetsOf(config, discovered);
      for (const target of found.targets) wanted.set(target.key, target);
      dropped.push(...found.dropped);
    }
    this.#dropped = dropped.slice(0, MAX_DROPPED);
    for (const [key, running] of this.#running) {
      const target = wanted.get(key);
      // The same target of a configuration that was read anew.
      if (target && target.config === running.scraper.target.config) continue;
      this.#stop(key, running);
    }
    for (const [key, target] of wanted) if (!this.#running.has(key)) this.#start(key, target);
  }

  #start(key: string, target: Target): void {
    const { store, now } = this.#options;
    const { interval } = target.config;
    const scraper = new TargetScraper(target, store);
    // Each target has its own moment within the interval, the same one after a restart, so that scrapes are spread.
    const moment = createHash('md5').update(key).digest().readUInt32BE(0) % interval;
    const wait = (((moment - (now() % interval)) % interval) + interval) % interval;
    const running: Running = { scraper, stopped: false, timer: setTimeout(() => void tick(now() + 0), wait) };
    const tick = async (due: number): Promise<void> => {
      const { access, timeout, bodySizeLimit } = target.config;
      await scraper.scrape(
        () => fetchMetrics(target.url, { access, timeout, limit: bodySizeLimit, agents: this.#agents }),
        now,
      );
      if (running.stopped) return;
      let next = due + interval;
      while (next <= now()) next += interval;
      running.timer = setTimeout(() => void tick(next), next - now());
    };
    this.#running.set(key, running);
  }

  #stop(key: string, running: Running): void {
    running.stopped = true;
    clearTimeout(running.timer);
    running.scraper.end(this.#options.now());
    this.#running.delete(key);
  }

  get scrapers(): readonly TargetScraper[] {
    return [...this.#running.values()].map(({ scraper }) => scraper);
  }

  get dropped(): readonly DroppedTarget[] {
    return this.#dropped;
  }

  /** What the targets tell of each metric. */
  metadata(): ReadonlyMap<string, readonly MetricMetadata[]> {
    const all = new Map<string, MetricMetadata[]>();
    for (const { metadata } of this.scrapers)
      for (const [name, entry] of metadata) {
        const entries = all.get(name) ?? [];
        all.set(name, entries);
        if (!entries.some(({ type, help, unit }) => type === entry.type && help === entry.help && unit === entry.unit))
          entries.push(entry);
      }
    return all;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#settle);
    this.#discovery?.close();
    for (const [key, running] of this.#running) this.#stop(key, running);
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }
}
