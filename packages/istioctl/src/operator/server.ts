import { setTimeout as sleep } from 'node:timers/promises';
import { VERSION } from '@istio-ts/api/version';
import { createLoggers } from '@istio-ts/istiod/log';
import { LogScopes, parseLogLevels } from '@istio-ts/istiod/log-scopes';
import type { KubeClient } from '@istio-ts/kube';
import { createLease } from '@istio-ts/kube/lease';
import { MetricsRegistry } from '@istio-ts/metrics';
import { type Controller, startController } from './controller.ts';
import { serveMonitoring } from './monitoring.ts';
import type { OperatorSettings } from './settings.ts';

const resyncMs = 3 * 60_000;
const leaseMs = 15_000;

export interface RunningOperator {
  readonly monitoringPort: number;
  /** Ends the work under way, gives up the lease and stops. */
  readonly close: () => Promise<void>;
  /** Resolves when the lease is lost: another operator works now, this process should end. */
  readonly lost: Promise<void>;
}

/** The operator's process: monitoring at once, work as soon as it holds the lease. Raises what keeps it from listening. */
export async function startOperator(
  settings: OperatorSettings,
  io: { readonly client: KubeClient; readonly chartsDir: string; readonly write: (line: string) => void },
): Promise<RunningOperator> {
  const { client, chartsDir } = io;
  const logger = createLoggers({
    scopes: new LogScopes({
      outputLevels: parseLogLevels(settings.logLevels),
      stackTraceLevels: parseLogLevels('default:none', 'log_stacktrace_level', 'none'),
      callers: new Set(),
    }),
    json: settings.logAsJson,
    now: () => new Date(),
    write: io.write,
  });
  const log = logger('operator', 'Start, end and election of the operator');
  const metrics = new MetricsRegistry();
  metrics.gauge('istio_install_operator_version', 'Version of the operator').set(1, { version: VERSION });
  const leads = metrics.gauge('istio_install_operator_leader', '1 while this operator is the one that works');
  leads.set(0);
  const outcomes = metrics.counter(
    'istio_install_operator_reconciles_total',
    'Times that an IstioOperator was brought about',
  );
  const durations = metrics.histogram(
    'istio_install_operator_reconcile_seconds',
    'How long that took',
    [0.1, 0.5, 1, 5, 15, 60, 300],
  );
  const drifts = metrics.counter(
    'istio_install_operator_drift_total',
    'Installed objects that somebody else changed or deleted',
  );
  let controller: Controller | undefined;
  metrics.gauge('istio_install_operator_objects', 'IstioOperators that count', () => controller?.size() ?? 0);

  // A follower is ready too: it could take over at any time.
  let contacted = false;
  const monitoring = await serveMonitoring({
    host: settings.monitoringHost,
    port: settings.monitoringPort,
    metrics,
    notReady: () => (contacted ? undefined : 'the API server has not been reached yet'),
  });
  log.info(
    `operator ${VERSION}, revision ${settings.revision || '(all)'}, watching ${settings.namespaces.join(', ') || 'all namespaces'}`,
  );

  const stop = new AbortController();
  const lease =
    settings.leaseNamespace === undefined
      ? undefined
      : createLease({
          client,
          namespace: settings.leaseNamespace,
          name: `${settings.operatorName}-lock`,
          identity: `${settings.podName}_${process.pid}`,
          now: () => new Date(),
          sleep: (ms, signal) => sleep(ms, undefined, { signal }),
          onWait: (holder) => {
            contacted = true;
            log.debug(`${holder} leads`);
          },
          onError: (error) => log.warn(`the lease: ${error.message}`),
          durationMs: leaseMs,
        });

  const lost = (async () => {
    if (lease) await lease.acquire(stop.signal);
    if (stop.signal.aborted) return;
    leads.set(1);
    log.info('leading');
    controller = startController(
      {
        client,
        chartsDir,
        log: logger('installer', 'What the operator does about IstioOperators'),
        now: () => new Date(),
        operatorName: settings.operatorName,
        readinessTimeoutMs: settings.readinessTimeoutMs,
        namespaces: settings.namespaces,
        revision: settings.revision,
        resyncMs,
        driftDelayMs: 1000,
        retryMs: { first: 2000, longest: 5 * 60_000 },
        setTimer: (run, ms) => {
          const timer = setTimeout(run, ms);
          return { cancel: () => clearTimeout(timer) };
        },
        onOutcome: (outcome, _, ms) => {
          outcomes.add({ result: outcome.kind });
          durations.observe(ms / 1000);
        },
        onDrift: () => drifts.add(),
      },
      () => {
        contacted = true;
        log.info('all IstioOperators are known');
      },
    );
    if (lease) {
      contacted = true;
      await lease.lost(stop.signal);
    } else await new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }));
    leads.set(0);
    if (!stop.signal.aborted) log.error('the lease was lost: another operator works now');
  })();

  return {
    monitoringPort: monitoring.port,
    lost,
    close: async () => {
      stop.abort();
      await controller?.close();
      await lost;
      await lease?.release();
      await monitoring.close();
    },
  };
}
