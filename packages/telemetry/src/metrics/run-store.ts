import { readFileSync } from 'node:fs';
import type { KubeClient } from '@istio-ts/kube';
import { MetricsRegistry } from '@istio-ts/metrics';
import { createApiServer, listen } from './api/server.ts';
import { readConfig } from './scrape/config.ts';
import { ScrapeManager } from './scrape/scrape-manager.ts';
import type { StoreSettings } from './settings.ts';
import { MetricsStore } from './storage/store.ts';

const FORGET_EVERY_MS = 30_000;

export interface RunOptions {
  readonly settings: StoreSettings;
  readonly client: KubeClient | undefined;
  readonly ownNamespace: string;
  readonly version: string;
  readonly now: () => number;
  readonly log: (line: string) => void;
}

export interface RunningStore {
  readonly port: number;
  readonly store: MetricsStore;
  readonly scrapes: ScrapeManager;
  /** Reads the configuration file anew. Raises ConfigError, and then goes on as before. */
  reload(): void;
  close(): Promise<void>;
}

/** Scrapes and answers until it is closed. Raises ConfigError, and rejects when it cannot listen. */
export async function runStore({
  settings,
  client,
  ownNamespace,
  version,
  now,
  log,
}: RunOptions): Promise<RunningStore> {
  const read = () => readConfig(readFileSync(settings.configFile, 'utf8'), settings.configFile);
  const { retention, maxSeries, maxBytes, lookback, timeout, maxSamples } = settings;
  const store = new MetricsStore({ retention, maxSeries, maxBytes });
  const scrapes = new ScrapeManager(read(), { store, client, ownNamespace, now, log });
  const registry = new MetricsRegistry();
  registry.gauge('metrics_store_series', 'Series in memory.', () => store.seriesCount);
  registry.gauge('metrics_store_bytes', 'Bytes that series and their samples take, roughly.', () => store.bytes);
  registry.gauge('metrics_store_refused_series', 'Series that were refused for want of room.', () => store.refused);
  registry.gauge('metrics_store_targets', 'Targets that are scraped.', () => scrapes.scrapers.length);
  registry.gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', () => process.memoryUsage.rss());
  registry.gauge('process_cpu_seconds_total', 'User and system time in seconds.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  const reload = (): void => {
    scrapes.reload(read());
    log(`configuration ${settings.configFile} is read anew`);
  };
  const startedAt = now();
  const server = createApiServer({
    context: {
      store,
      limits: { maxSamples, timeout },
      now,
      lookback,
      // Read at each query: a configuration that is read anew may change it.
      get interval() {
        return scrapes.config.evaluationInterval;
      },
    },
    scrapes,
    version,
    startedAt,
    flags: settings.flags,
    prefix: settings.prefix,
    metrics: () => registry.text(),
    reload: settings.lifecycle ? reload : undefined,
  });
  let port: number;
  try {
    port = await listen(server, settings.host, settings.port);
  } catch (error) {
    scrapes.close();
    throw error;
  }
  const forgetting = setInterval(() => store.forget(now()), FORGET_EVERY_MS);
  return {
    port,
    store,
    scrapes,
    reload,
    close: async () => {
      clearInterval(forgetting);
      scrapes.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
