import type { Counter, Gauge, Histogram, MetricsRegistry } from '@istio-ts/metrics';

/** Metrics of the ADS server, with the names that Istio's dashboards and alerts ask for. */
export interface AdsMetrics {
  /** Connected clients. */
  readonly clients: Gauge;
  readonly pushes: Counter;
  readonly pushTime: Histogram;
  readonly sendTime: Histogram;
  readonly convergenceTime: Histogram;
  readonly queueTime: Histogram;
  readonly configSize: Histogram;
  readonly rejects: Counter;
  /** NACKed resources per type, for the four main types. */
  readonly rejectedNow: Readonly<Record<'cds' | 'eds' | 'lds' | 'rds', Gauge>>;
  readonly expiredNonces: Counter;
  readonly internalErrors: Counter;
  readonly connectionFailures: Counter;
  readonly connectionTerminations: Counter;
  /** A request of so many bytes came. */
  readonly received: (bytes: number) => void;
}

const SECONDS = [0.1, 0.5, 1, 3, 5, 10, 20, 30];

export function createAdsMetrics(registry: MetricsRegistry, version: string): AdsMetrics {
  const clients = registry.gauge('pilot_xds', 'Number of endpoints connected to this pilot using XDS.');
  clients.set(0, { version });
  const largest = registry.gauge('pilot_xds_recv_max', 'The largest request of a proxy, in bytes.');
  let most = 0;
  return {
    clients: {
      ...clients,
      set: (value) => clients.set(value, { version }),
      add: (by) => clients.add(by, { version }),
    },
    pushes: registry.counter('pilot_xds_pushes', 'Configuration responses sent and errors, by type.'),
    pushTime: registry.histogram(
      'pilot_xds_push_time',
      'Total time in seconds Pilot takes to push lds, rds, cds and eds.',
      [0.01, 0.1, 0.5, 1, 3, 5, 10, 20, 30],
    ),
    sendTime: registry.histogram(
      'pilot_xds_send_time',
      'Total time in seconds Pilot takes to send generated configuration.',
      [0.01, 0.1, 1, 3, 5, 10, 20, 30],
    ),
    convergenceTime: registry.histogram(
      'pilot_proxy_convergence_time',
      'Delay in seconds between config change and a proxy receiving all required configuration.',
      SECONDS,
    ),
    queueTime: registry.histogram(
      'pilot_proxy_queue_time',
      'Time in seconds, a proxy is in the push queue before being dequeued.',
      SECONDS,
    ),
    configSize: registry.histogram(
      'pilot_xds_config_size_bytes',
      'Distribution of configuration sizes pushed to clients',
      [1, 10000, 1000000, 4000000, 10000000, 40000000],
    ),
    rejects: registry.counter('pilot_total_xds_rejects', 'Total number of XDS responses from pilot rejected by proxy.'),
    rejectedNow: {
      cds: registry.gauge('pilot_xds_cds_reject', 'Pilot rejected CDS configs.'),
      eds: registry.gauge('pilot_xds_eds_reject', 'Pilot rejected EDS.'),
      lds: registry.gauge('pilot_xds_lds_reject', 'Pilot rejected LDS.'),
      rds: registry.gauge('pilot_xds_rds_reject', 'Pilot rejected RDS.'),
    },
    expiredNonces: registry.counter('pilot_xds_expired_nonce', 'Total number of XDS requests with an expired nonce.'),
    internalErrors: registry.counter(
      'pilot_total_xds_internal_errors',
      'Total number of internal XDS errors in pilot.',
    ),
    connectionFailures: registry.counter(
      'istiod_connection_failures',
      'The total number of connection failures to Istiod',
    ),
    connectionTerminations: registry.counter(
      'istiod_connection_terminations',
      'The total number of connection errors to Istiod',
    ),
    received: (bytes) => {
      if (bytes <= most) return;
      most = bytes;
      largest.set(bytes);
    },
  };
}

/** Metrics of the CA service. */
export interface CaMetrics {
  readonly csrs: Counter;
  readonly authenticationFailures: Counter;
  readonly csrParsingErrors: Counter;
  readonly identityErrors: Counter;
  readonly signErrors: Counter;
  readonly issued: Counter;
}

export function createCaMetrics(registry: MetricsRegistry): CaMetrics {
  return {
    csrs: registry.counter('citadel_server_csr_count', 'The number of CSRs received by Citadel server.'),
    authenticationFailures: registry.counter(
      'citadel_server_authentication_failure_count',
      'The number of authentication failures.',
    ),
    csrParsingErrors: registry.counter(
      'citadel_server_csr_parsing_err_count',
      'The number of errors occurred when parsing the CSR.',
    ),
    identityErrors: registry.counter(
      'citadel_server_id_extraction_err_count',
      'The number of errors occurred when extracting the ID from CSR.',
    ),
    signErrors: registry.counter(
      'citadel_server_csr_sign_err_count',
      'The number of errors occurred when signing the CSR.',
    ),
    issued: registry.counter(
      'citadel_server_success_cert_issuance_count',
      'The number of certificates issuances that have succeeded.',
    ),
  };
}

/** When the CA's certificates end, with the names that Istio's alerts ask for, and what became of new ones. */
export function registerAuthorityMetrics(
  registry: MetricsRegistry,
  authority: () => { readonly anchor: { readonly notAfter: Date }; readonly notAfter: Date },
  now: () => number,
): { readonly outcome: (outcome: 'taken' | 'refused') => void } {
  const ends = (what: string, name: string, at: () => number): void => {
    registry.gauge(
      `citadel_server_${name}_expiry_timestamp`,
      `The unix timestamp, in seconds, when the ${what} will expire. Negative where it has.`,
      () => at() / 1000,
    );
    registry.gauge(
      `citadel_server_${name}_expiry_seconds`,
      `The time remaining, in seconds, before the ${what} will expire. Negative where it has.`,
      () => (at() - now()) / 1000,
    );
  };
  ends('root certificate', 'root_cert', () => authority().anchor.notAfter.getTime());
  ends('certificate of the CA', 'cert_chain', () => authority().notAfter.getTime());
  const loads = registry.counter(
    'istiod_ca_loads_total',
    'New key and certificates of the CA that were taken or refused.',
  );
  return { outcome: (outcome) => loads.add({ outcome }) };
}

/** What every istiod says of itself: pilot_info, istio_build and its uptime. */
export function registerProcessMetrics(registry: MetricsRegistry, version: string, uptimeSeconds: () => number): void {
  registry.gauge('pilot_info', 'Pilot version and build information.').set(1, { version });
  registry.gauge('istio_build', 'Istio component build info').set(1, { component: 'pilot', tag: version });
  registry.gauge('istiod_uptime_seconds', 'Current istiod server uptime in seconds', uptimeSeconds);
  registry.gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', () => process.memoryUsage.rss());
  registry.counter('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  registry
    .gauge('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.')
    .set(Math.round(performance.timeOrigin) / 1000);
  registry.gauge(
    'nodejs_heap_size_used_bytes',
    'Memory that JavaScript objects take, in bytes.',
    () => process.memoryUsage().heapUsed,
  );
  registry.counter(
    'nodejs_eventloop_busy_seconds_total',
    'Time in which the event loop did not wait, in seconds.',
    () => performance.eventLoopUtilization().active / 1000,
  );
}
