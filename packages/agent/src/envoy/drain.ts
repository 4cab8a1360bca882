import { adminText } from './admin.ts';
import type { AdminOptions } from './admin.ts';
import type { Logger } from '../log.ts';

export interface DrainOptions {
  readonly admin: AdminOptions;
  readonly terminationMs: number;
  readonly exitOnZeroActiveConnections: boolean;
  readonly minimumMs: number;
  /** False for gateways, whose listeners for clients are outbound ones. */
  readonly inboundOnly: boolean;
  readonly log: Logger;
  /** Resolves early when Envoy ended by itself. */
  readonly exited: Promise<unknown>;
  /** Resolves when a second signal asks to hurry. */
  readonly hurry: Promise<unknown>;
}

/** Own listeners, whose connections (Prometheus, probes, admin) must not hold up the end. */
const OWN_LISTENERS =
  /^listener\.(?:admin|[^:]*?_(?:15021|15090|15020))\b|^listener\.\[?[0-9a-fA-F_.:]*\]?_?(?:15021|15090)\b/;

/** Number of open downstream connections in the text of `/stats?filter=downstream_cx_active$`, without those to the proxy itself. */
export function activeConnections(stats: string): number {
  let total = 0;
  for (const line of stats.split('\n')) {
    const match = /^(listener\.\S+\.downstream_cx_active): (\d+)$/.exec(line);
    if (match === null || OWN_LISTENERS.test(match[1] ?? '') || (match[1] ?? '').includes('worker_')) continue;
    total += Number(match[2]);
  }
  return total;
}

/**
 * Tells Envoy to answer with `connection: close` and to close its listeners gracefully: of a sidecar only the inbound ones, because the application may still
 * have to finish its own requests.
 */
export async function drainListeners(admin: AdminOptions, inboundOnly: boolean): Promise<void> {
  // skip_exit: the agent decides when Envoy ends.
  await adminText('POST', `/drain_listeners?${inboundOnly ? 'inboundonly&' : ''}graceful&skip_exit`, admin);
}

/**
 * The time between SIGTERM and the end of Envoy: drain, then wait until the time is over, or, if so configured, until no
 * connection is open any more but at least for the minimum.
 */
export async function drainEnvoy(options: DrainOptions): Promise<void> {
  const { log, admin } = options;
  try {
    await drainListeners(admin, options.inboundOnly);
  } catch (error) {
    log.warn('Envoy was not asked to drain', { error: error instanceof Error ? error.message : String(error) });
  }
  const stop = Promise.race([options.exited, options.hurry]).then(() => true);
  const sleep = (ms: number): Promise<boolean> => {
    let timer: NodeJS.Timeout | undefined;
    const slept = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), ms);
    });
    return Promise.race([stop, slept]).finally(() => clearTimeout(timer));
  };
  if (!options.exitOnZeroActiveConnections) {
    log.info('graceful termination period started', { duration: `${options.terminationMs / 1000}s` });
    await sleep(options.terminationMs);
    log.info('graceful termination period complete, terminating the proxy');
    return;
  }
  log.info('waiting until no connection is open', { minimum: `${options.minimumMs / 1000}s` });
  if (await sleep(options.minimumMs)) return;
  for (;;) {
    let active: number;
    try {
      active = activeConnections(await adminText('GET', '/stats?usedonly&filter=downstream_cx_active%24', admin));
    } catch (error) {
      log.warn('open connections cannot be counted, terminating the proxy', {
        error: error instanceof Error ? error.message : String(error),
      });
      return;
    }
    if (active === 0) {
      log.info('there are no more active connections, terminating the proxy');
      return;
    }
    log.info('connections are still open', { active });
    if (await sleep(1000)) return;
  }
}
