import type { AgentSettings } from '../environment.ts';
import { parseDuration } from '../duration.ts';

/** Format of Envoy's log lines: that of the agent's, with Envoy's logger name, file and thread. */
const LOG_FORMAT = '%Y-%m-%dT%T.%fZ\t%l\tenvoy %n %g:%#\t%v\tthread=%t';

/** Command line of Envoy for a bootstrap file. `cpus` is what the container may use, from ISTIO_CPU_LIMIT, 0 when not known. */
export function envoyArguments(settings: AgentSettings, bootstrapFile: string, cpus: number): readonly string[] {
  const { flags, proxyConfig } = settings;
  const concurrency = flags.concurrency ?? proxyConfig.concurrency ?? (cpus > 0 ? cpus : 2);
  const drainSeconds = Math.max(1, Math.round(parseDuration(proxyConfig.drainDuration, 'drainDuration') / 1000));
  const ipv6Only = settings.instanceIps.length > 0 && settings.instanceIps.every((ip) => ip.includes(':'));
  return [
    ['-c', bootstrapFile],
    ['--drain-time-s', String(drainSeconds)],
    ['--drain-strategy', 'immediate'],
    ['--local-address-ip-version', ipv6Only ? 'v6' : 'v4'],
    [
      '--file-flush-interval-msec',
      String(
        proxyConfig.fileFlushInterval === undefined
          ? 1000
          : parseDuration(proxyConfig.fileFlushInterval, 'fileFlushInterval'),
      ),
    ],
    ...(proxyConfig.fileFlushMinSizeKb === undefined
      ? []
      : [['--file-flush-min-size-kb', String(proxyConfig.fileFlushMinSizeKb)]]),
    ['--disable-hot-restart'],
    ['--allow-unknown-static-fields'],
    ['--log-format', LOG_FORMAT],
    ['--log-level', flags.proxyLogLevel || 'warning'],
    ...(flags.proxyComponentLogLevel ? [['--component-log-level', flags.proxyComponentLogLevel]] : []),
    ...(settings.skipDeprecatedLogs ? [['--skip-deprecated-logs']] : []),
    // 0 asks for one thread per CPU, Envoy's own default.
    ...(concurrency > 0 ? [['--concurrency', String(concurrency)]] : []),
  ].flat();
}
