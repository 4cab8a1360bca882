/** A metric of the control plane's programs: one that Istio's documentation and dashboards know, or one of our own. */
export interface CataloguedMetric {
  /** As it is scraped. */
  readonly name: string;
  /** The row of the table that it stands in: several names with `{` and `}` in one. */
  readonly row: string;
  readonly program: 'istiod' | 'pilot-agent' | 'install-cni';
  /** What its value says. */
  readonly meaning: string;
  readonly state: /** It has a value from the start, or from the first time on that what it counts happens. */
    | { readonly kind: 'always' }
    | { readonly kind: 'after'; readonly what: string }
    /** It is not made, because it would say nothing here. */
    | { readonly kind: 'absent'; readonly why: string };
}

type Row = readonly [names: string, meaning: string, state?: { readonly after: string } | { readonly absent: string }];

/** `a{b,c}d` is `abd` and `acd`. */
function expand(name: string): readonly string[] {
  const found = /^(.*?)\{([^}]*)\}(.*)$/.exec(name);
  if (!found) return [name];
  const [, before = '', choices = '', after = ''] = found;
  return choices.split(',').map((choice) => `${before}${choice}${after}`);
}

function program(name: CataloguedMetric['program'], rows: readonly Row[]): readonly CataloguedMetric[] {
  return rows.flatMap(([names, meaning, state]) =>
    expand(names).map((one) => ({
      name: one,
      row: names,
      program: name,
      meaning,
      state:
        state === undefined
          ? ({ kind: 'always' } as const)
          : 'after' in state
            ? ({ kind: 'after', what: state.after } as const)
            : ({ kind: 'absent', why: state.absent } as const),
    })),
  );
}

const oneCluster = 'one istiod watches one cluster: `istiod_managed_clusters`, `controller_sync_errors_total`';
const noQueues =
  'changes are taken in together, without queues: `pilot_debounce_time`, `pilot_pushcontext_init_seconds`';
const noCache =
  'what is made is kept with what it is made of, so that there is nothing to evict; `istiod_xds_resources_encoded_total` says what was made anew';
const straight =
  'Envoy speaks to istiod itself, not through the agent: `envoy_cluster_upstream_cx_*{cluster_name="xds-grpc"}`';

const istiod = program('istiod', [
  ['pilot_info', 'Version of istiod, 1'],
  ['istio_build', 'Version by component, 1'],
  ['istiod_uptime_seconds', 'Time since the start'],
  ['process_{cpu_seconds_total,resident_memory_bytes,start_time_seconds}', 'What the process takes, and when it began'],
  [
    'nodejs_{heap_size_used_bytes,eventloop_busy_seconds_total}',
    'Memory of objects; time in which the only thread worked',
  ],
  ['go_*', 'Memory and threads of a Go program', { absent: 'istiod is no Go program: `nodejs_*`' }],
  [
    'grpc_server_*',
    'Calls by method',
    { absent: '`pilot_xds*` and `citadel_server_*` count them by what they are about' },
  ],
  ['pilot_xds', 'Connected proxies and other clients'],
  ['pilot_xds_pushes', 'Responses sent, by `type`', { after: 'the first proxy' }],
  ['pilot_xds_{push_time,send_time}', 'Time to make and send a response, and to send it', { after: 'the first proxy' }],
  ['pilot_xds_config_size_bytes', 'Sizes of responses', { after: 'the first proxy' }],
  ['pilot_xds_recv_max', 'The largest request', { after: 'the first proxy' }],
  [
    'pilot_proxy_queue_time',
    'Time from a change to the work for a proxy',
    { after: 'the first change that concerns a proxy' },
  ],
  [
    'pilot_proxy_convergence_time',
    'Time from a change to the last response for it',
    { after: 'the first change that concerns a proxy' },
  ],
  ['pilot_debounce_time', 'Time that a change waits for those that come with it'],
  ['pilot_pushcontext_init_seconds', 'Time that the model takes to take such changes in'],
  ['pilot_push_triggers', 'Changes for which configuration is made anew, by `type`'],
  ['pilot_inbound_updates', 'Changes of services, endpoints and configuration, by `type`'],
  ['pilot_k8s_reg_events', 'Changes of services, endpoints, pods and nodes in Kubernetes'],
  ['pilot_k8s_cfg_events', 'Changes of configuration in Kubernetes', { after: 'the first of them' }],
  ['pilot_k8s_endpoints_pending_pod', 'Pods that endpoints name and that are not known yet'],
  ['pilot_k8s_endpoints_with_no_pods', 'Endpoints that came before their pod'],
  ['endpoint_no_pod', 'Endpoints whose pod is not known now'],
  ['pilot_k8s_proxies_with_no_service_targets', 'Sidecars that connected and that no service selects'],
  ['pilot_total_xds_rejects', 'Responses that proxies refused, by `type`', { after: 'the first of them' }],
  [
    'pilot_xds_{cds,eds,lds,rds}_reject',
    'Resources that a proxy refuses now, by `node`',
    { after: 'the first of them' },
  ],
  ['pilot_xds_expired_nonce', 'Answers to responses that are not the newest', { after: 'the first of them' }],
  ['pilot_total_xds_internal_errors', 'Streams that ended by a fault of istiod', { after: 'the first of them' }],
  ['pilot_xds_generation_errors_total', 'Resources that could not be made', { after: 'the first of them' }],
  [
    'pilot_xds_write_timeout',
    'Responses given up after a time',
    { absent: 'none is: changes merge until a slow proxy takes them' },
  ],
  ['istiod_connection_failures', 'Streams refused before they began, by `type`', { after: 'the first of them' }],
  ['istiod_connection_terminations', 'Streams of proxies that ended, by `type`', { after: 'the first of them' }],
  ['istiod_xds_resources_encoded_total', 'Resources that were encoded, each once for all proxies that share it'],
  ['xds_cache_{size,reads,evictions,dependent_config_size}', 'A cache of resources', { absent: noCache }],
  ['pilot_worker_queue_{depth,duration,latency}', 'Queues of work of controllers', { absent: noQueues }],
  ['pilot_services', 'Services'],
  ['pilot_virt_services', 'VirtualServices'],
  ['pilot_vservice_dup_domain', 'Hosts that several VirtualServices have'],
  ['pilot_destrule_subsets', 'Subsets that several DestinationRules of one host have'],
  ['pilot_duplicate_envoy_clusters', 'Hosts and ports that several ServiceEntries have'],
  ['pilot_conflict_inbound_listener', 'Servers of Gateways in conflict with an older one'],
  [
    'pilot_conflict_outbound_listener_tcp_over_current_tcp',
    'Ports for TCP without an address that several services have',
  ],
  ['pilot_eds_no_instances', 'Clusters without endpoints'],
  ['pilot_dns_cluster_without_endpoints', 'Clusters to be resolved by DNS without any name'],
  ['pilot_endpoint_not_ready', 'Endpoints that are not ready'],
  ['pilot_no_ip', 'Workloads with a proxy that are an endpoint of no service'],
  [
    'pilot_envoy_filter_status',
    'Patches of EnvoyFilters by `result`, with `PILOT_ENVOY_FILTER_STATS`',
    { after: 'the first EnvoyFilter' },
  ],
  [
    'pilot_total_rejected_configs',
    'Configuration that istiod refuses, by `type` and `name`',
    { after: 'the first of them' },
  ],
  [
    'pilot_sds_certificate_errors_total',
    'Secrets of certificates that are missing or hold nothing usable',
    { after: 'the first of them' },
  ],
  [
    'pilot_jwks_resolver_network_fetch_{success,fail}_total',
    'Fetches of keys of tokens',
    { after: 'the first of them' },
  ],
  ['istiod_jwks_missing', 'Places of keys from which none ever came'],
  [
    'provider_lookup_cluster_failures',
    'Providers whose service is not there',
    { absent: 'the status of the Telemetry that names it says so, and IST0101' },
  ],
  ['citadel_server_csr_count', 'Requests for certificates', { after: 'the first of them' }],
  ['citadel_server_success_cert_issuance_count', 'Certificates issued', { after: 'the first of them' }],
  [
    'citadel_server_{authentication_failure,csr_parsing_err,csr_sign_err,id_extraction_err}_count',
    'Requests refused: caller unknown, unreadable, not signed, wrong identity',
    { after: 'the first of them' },
  ],
  [
    'citadel_server_{root_cert,cert_chain}_expiry_timestamp',
    'End of the root and of the CA’s certificate, seconds since 1970',
  ],
  ['citadel_server_{root_cert,cert_chain}_expiry_seconds', 'Time until then'],
  ['istiod_ca_loads_total', 'New keys of the CA, by `outcome`', { after: 'the first of them' }],
  [
    'istiod_spiffe_bundle_fetches_total',
    'Bundles of other trust domains that were asked for',
    { after: 'the first of them' },
  ],
  ['sidecar_injection_requests_total', 'Pods that the webhook was asked about', { after: 'the first of them' }],
  [
    'sidecar_injection_{success,skip,failure}_total',
    'Pods that got a sidecar, that get none, that could not be changed',
    { after: 'the first of them' },
  ],
  ['sidecar_injection_time_seconds', 'Time to answer', { after: 'the first pod' }],
  [
    'galley_validation_{passed,failed}',
    'Objects that the webhook admitted and refused',
    { after: 'the first of them' },
  ],
  ['galley_validation_http_error', 'Requests to it that are none', { after: 'the first of them' }],
  ['galley_validation_config_updates', 'Webhooks of validation that got the CA’s root', { after: 'the first of them' }],
  ['galley_validation_config_update_error', 'Failures of that', { after: 'the first of them' }],
  [
    'galley_validation_config_load_error',
    'Webhook configuration that cannot be read',
    { absent: 'it is not read from a file; what cannot be written is in `galley_validation_config_update_error`' },
  ],
  [
    'webhook_patch_{attempts,retries,failures}_total',
    'Webhooks given the CA’s root, by `name`',
    { after: 'the first of them' },
  ],
  [
    'auto_registration_{success,updates,unregister,deletes,errors}_total',
    'Workloads outside Kubernetes: registered, back again, disconnected, removed, failed',
  ],
  ['istiod_managed_clusters', 'Clusters that are watched, by `cluster_type`'],
  ['controller_sync_errors_total', 'Interruptions of watches of the cluster; each is tried again'],
  ['istiod_remote_cluster_sync_status', 'Whether a remote cluster’s objects are all known', { absent: oneCluster }],
  [
    'remote_cluster_{secret_events,sync_timeouts}_total',
    'Secrets of remote clusters, and lists that took too long',
    { absent: oneCluster },
  ],
  [
    'istiod_analysis_messages',
    'What the analysis finds, by `code` and `level`, where it is switched on',
    { after: 'the first finding' },
  ],
  ['istiod_uncaught_errors_total', 'Errors that no part was prepared for', { after: 'the first of them' }],
]);

const agent = program('pilot-agent', [
  ['istio_build', 'Version of the agent, 1'],
  [
    'istio_agent_process_{cpu_seconds_total,resident_memory_bytes,start_time_seconds}',
    'What the agent takes, and when it began',
  ],
  [
    'istio_agent_envoy_{cpu_seconds_total,resident_memory_bytes}',
    'What Envoy’s process takes, as the kernel counts it',
    { after: 'Envoy’s start' },
  ],
  ['istio_agent_startup_duration_seconds', 'Time until the proxy was ready', { after: 'it is ready' }],
  ['istio_agent_scrapes_total', 'Scrapes'],
  ['istio_agent_scrape_failures_total', 'Scrapes of Envoy, the application and the agent that failed'],
  ['istio_agent_cert_expiry_seconds', 'Time until the certificate ends', { after: 'the first certificate' }],
  ['istio_agent_num_outgoing_requests', 'Requests to the CA', { after: 'the first of them' }],
  ['istio_agent_num_failed_outgoing_requests', 'Failures of these', { after: 'the first of them' }],
  ['istio_agent_num_outgoing_retries', 'Repetitions of these', { after: 'the first of them' }],
  ['istio_agent_outgoing_latency', 'Milliseconds spent in these', { after: 'the first of them' }],
  [
    'istio_agent_num_file_secret_failures_total',
    'Certificates in files that could not be read',
    { after: 'the first of them' },
  ],
  [
    'istio_agent_num_file_watcher_failures_total',
    'Folders of certificates that could not be watched',
    { after: 'the first of them' },
  ],
  [
    'istio_agent_dns_{requests,upstream_requests,upstream_failures}_total',
    'Queries, with DNS capture',
    { after: 'DNS capture is switched on' },
  ],
  [
    'istio_agent_dns_upstream_request_duration_seconds',
    'Time that name servers take',
    { after: 'DNS capture is switched on' },
  ],
  [
    'istio_agent_wasm_{cache_entries,cache_lookup_count,remote_fetch_count}',
    'Modules of filters: kept, asked for, fetched',
    { after: 'the first filter with a module' },
  ],
  [
    'istio_agent_wasm_config_conversion_{count,duration}',
    'Filters that got their modules, and milliseconds until then',
    { after: 'the first filter with a module' },
  ],
  ['istio_agent_{xds_proxy_requests,xds_proxy_responses}', 'Messages between Envoy and istiod', { absent: straight }],
  [
    'istio_agent_{istiod_connection_failures,istiod_connection_terminations,envoy_connection_terminations}',
    'Connections to istiod and Envoy that failed or ended',
    { absent: straight },
  ],
]);

const cni = program('install-cni', [
  ['istio_cni_install_ready', 'Whether the plugin is installed on this node'],
  ['istio_cni_installs_total', 'Installations, by `result`', { after: 'the first of them' }],
  [
    'istio_cni_plugin_requests_total',
    'Pod networks that the plugin was called for, by `response_code`',
    { after: 'the first of them' },
  ],
  [
    'istio_cni_repair_pods_repaired_total',
    'Pods that started without rules, by `type` and `result`',
    { after: 'the first of them' },
  ],
  [
    'nodeagent_reconcile_events_total',
    'Pods of an ambient mesh that the node agent looked at',
    { absent: 'the node agent sets rules for sidecars only' },
  ],
]);

/** All of them, by program. */
export const catalogue: readonly CataloguedMetric[] = [...istiod, ...agent, ...cni];

/** The catalogue as the tables of docs/telemetry.md. */
export function catalogueTables(): string {
  const programs = [
    ['istiod, port 15014 `/metrics`', 'istiod'],
    ['pilot-agent, port 15020 `/stats/prometheus`, beside those of Envoy and the application', 'pilot-agent'],
    ['install-cni, port 15014 `/metrics`', 'install-cni'],
  ] as const;
  return programs
    .map(([title, name]) => {
      const rows = catalogue
        .filter(({ program: of }, index) => of === name && catalogue[index - 1]?.row !== catalogue[index]?.row)
        .map(({ row, meaning, state }) => {
          const here =
            state.kind === 'always' ? 'yes' : state.kind === 'after' ? `yes, after ${state.what}` : `no: ${state.why}`;
          return `| \`${row}\` | ${meaning} | ${here} |`;
        });
      return [`### ${title}`, '', '| metric | what it says | here |', '|---|---|---|', ...rows].join('\n');
    })
    .join('\n\n');
}
