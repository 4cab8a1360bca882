import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { VERSION } from '@istio-ts/api';
import { createKubeClient, type KubeClient, loadKubeConfig } from '@istio-ts/kube';
import { MetricsRegistry } from '@istio-ts/metrics';
import type { LeadershipOptions } from '../controllers/leadership.ts';
import { createLoggers, type Logger } from '../log.ts';
import { LogScopes, parseLogLevels } from '../log-scopes.ts';
import { createSyncMetrics } from '../metrics/kubernetes.ts';
import { registerProcessMetrics } from '../metrics/pilot.ts';
import type { Settings } from '../settings.ts';
import { steadyClient } from './steady-client.ts';
import { surviveUncaught } from './uncaught.ts';

/** setTimeout cannot wait longer. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** What all parts of istiod stand on: settings, log, metrics and the API server. */
export interface Ground {
  readonly settings: Settings;
  readonly scopes: LogScopes;
  /** A logger of a part, by its name and what it writes about. */
  readonly logger: (name: string, about: string) => Logger;
  /** Start, end and health of the whole. */
  readonly log: Logger;
  readonly metrics: MetricsRegistry;
  readonly client: KubeClient;
  readonly uptimeMs: () => number;
  /** Counts an error that no part of istiod was prepared for. */
  readonly countUncaught: () => void;
  readonly close: () => void;
}

/** Opens the log and the connection to the API server. Raises an error when there is no kubeconfig or a log level is none. */
export function createGround(settings: Settings, env: Readonly<Record<string, string | undefined>>): Ground {
  const started = performance.now();
  const uptimeMs = () => performance.now() - started;
  const scopes = new LogScopes({
    outputLevels: parseLogLevels(settings.logLevels),
    stackTraceLevels: parseLogLevels(settings.stackTraceLevels, 'log_stacktrace_level', 'none'),
    callers: new Set(settings.logCallers),
  });
  const logger = createLoggers({
    scopes,
    json: settings.logAsJson,
    now: () => new Date(),
    write: (line) => void process.stdout.write(line),
  });
  const log = logger('istiod', 'Start, end and health of the control plane');
  const metrics = new MetricsRegistry();
  const uncaught = metrics.counter('istiod_uncaught_errors_total', 'Errors that no part of istiod was prepared for.');
  const countUncaught = () => uncaught.add();
  const stopSurviving = surviveUncaught(process, log, countUncaught);
  // A reader of the log that goes away is no reason to end.
  process.stdout.on('error', () => undefined);
  registerProcessMetrics(metrics, VERSION, () => uptimeMs() / 1000);

  const config = loadKubeConfig({
    env: withoutAbsentKubeconfig(env),
    preferInCluster: true,
    ...(settings.kubeconfig !== undefined && { kubeconfig: settings.kubeconfig }),
  });
  const connection = createKubeClient(config, { userAgent: 'pilot-discovery', dropManagedFields: true });
  const client = steadyClient(connection, {
    log: logger('kube', 'Requests to the API server'),
    now: Date.now,
    onFailure: countUncaught,
    onInterruption: createSyncMetrics(metrics, settings.clusterId),
  });
  log.info(
    `istiod ${VERSION}, revision ${settings.revision}, cluster ${settings.clusterId}, API server ${config.server}`,
  );
  return {
    settings,
    scopes,
    logger,
    log,
    metrics,
    client,
    uptimeMs,
    countUncaught,
    close: () => {
      connection.close();
      stopSurviving();
    },
  };
}

/** Runs work after a while, without keeping the process alive; the result cancels. */
export function delayed(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, Math.min(ms, LONGEST_TIMER)).unref();
  return () => clearTimeout(timer);
}

/** How this istiod takes part in the choice of the one that does some work for the cluster. */
export const candidacy = ({ namespace, podName }: Settings): Omit<LeadershipOptions, 'lock'> => ({
  namespace,
  identity: podName,
  now: () => new Date(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal, ref: false }),
});

/** The chart names a kubeconfig for remote clusters that is mounted only where there is one (Secret `istio-kubeconfig`). */
function withoutAbsentKubeconfig(
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> {
  const { KUBECONFIG: file, ...rest } = env;
  return file !== undefined && existsSync(file) ? env : rest;
}
