import type { Bootstrap } from '@istio-ts/envoy';
import type { AgentSettings } from '../environment.ts';
import { parseDuration } from '../duration.ts';
import { EnvironmentError } from '../environment.ts';
import type { Json } from '../json.ts';

/** Statistics Envoy keeps whatever the user chose: health, the control plane's connection, Istio's metrics. */
const INCLUDED_PREFIXES = [
  'cluster_manager',
  'listener_manager',
  'server',
  'cluster.xds-grpc',
  'wasm',
  'istio',
  'workload',
];
/** Policy decisions, and the connections that draining waits for. */
const INCLUDED_SUFFIXES = [
  'rbac.allowed',
  'rbac.denied',
  'shadow_allowed',
  'shadow_denied',
  'downstream_cx_active',
  'dns_filter',
];

/**
 * Where a cluster's name ends inside the name of a statistic. Names of services have dots; istiod may end them with `;`,
 * else the first known group of cluster statistics (Envoy, "Cluster manager statistics") marks the end.
 */
const CLUSTER_STATISTICS =
  'upstream_|lb_|circuit_breakers|membership_|update_|bind_errors|version|max_host_weight|assignment_|ssl|external|internal|canary|retry_or_shadow_abandoned|http1|http2|http3|original_dst_host_invalid|warming_state|init_fetch_timeout|client_ssl_socket_factory|outlier_detection|default|ext_authz|grpc|zone|health_check|rbac|dynamic_forward_proxy|dns_cache|tcp_proxy';

/** Tags of Envoy's own statistics, named as Istio's dashboards expect. The first group is cut out of the name, the second is the value. */
const TAGS: readonly (readonly [string, string])[] = [
  ['cluster_name', `^cluster\\.((.+?);?\\.)(?:${CLUSTER_STATISTICS})`],
  ['tcp_prefix', '^tcp\\.((.*?)\\.)\\w+?$'],
  ['response_code', '_rq(_(\\d{3}))$'],
  ['response_code_class', '_rq(_(\\dxx))$'],
  ['http_conn_manager_listener_prefix', '^listener\\..*?\\.http\\.((.+?);?\\.)downstream_'],
  [
    'http_conn_manager_prefix',
    '^http\\.((.+?);?\\.)(?:downstream_|rq_|no_route|no_cluster|tracing|passthrough|user_agent|rbac\\.(?:istio_ext_authz_[^.]*\\.)?[a-z_]+$|ext_authz|jwt|fault|local_rate|overload|rds|rs_)',
  ],
  [
    'listener_address',
    '^listener\\.((.+?);?\\.)(?:downstream_|http|ssl|no_filter|worker_|main_thread|admin|rbac|extension_|server_ssl)',
  ],
  // Dry runs of AuthorizationPolicies on requests: `envoy_http_inbound_0_0_0_0_80_rbac{authz_dry_run_action="deny",authz_dry_run_result="denied"}` (task "Dry run").
  ['authz_dry_run_action', '^http\\..+?(;?)\\.rbac\\.istio_dry_run_(allow|deny)_\\.shadow_'],
  ['authz_dry_run_result', '^http\\..+\\.rbac(\\.istio_dry_run_(?:allow|deny)_\\.shadow_(allowed|denied))$'],
  ['mongo_prefix', '^mongo\\.(.+?)\\.(collection|cmd|cx_|op_|delays_|decoding_)(.*?)$'],
];

type StatsPart = Pick<Bootstrap, 'statsConfig' | 'statsFlushInterval' | 'statsEvictionInterval'>;

/** How Envoy names, filters, rounds and forgets statistics. Annotations of the pod win over ProxyConfig. */
export function renderStats(settings: AgentSettings): StatsPart {
  const { annotations } = settings;
  const list = (name: string): readonly string[] =>
    (annotations[`sidecar.istio.io/${name}`] ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '');
  const matcher = settings.proxyConfig.statsMatcher;
  const prefixes = [...INCLUDED_PREFIXES, ...matcher.inclusionPrefixes, ...list('statsInclusionPrefixes')];
  const suffixes = [...INCLUDED_SUFFIXES, ...matcher.inclusionSuffixes, ...list('statsInclusionSuffixes')];
  const regexps = [...matcher.inclusionRegexps, ...list('statsInclusionRegexps')];
  const buckets = [
    ...readBuckets(annotations['sidecar.istio.io/statsHistogramBuckets']),
    ...readBins(annotations['sidecar.istio.io/statsHistogramBins']),
  ];
  const flush = interval(annotations, 'statsFlushInterval', 5000);
  const eviction = interval(annotations, 'statsEvictionInterval', 3_600_000);
  if (eviction % flush !== 0) {
    throw new EnvironmentError(
      'annotation sidecar.istio.io/statsEvictionInterval',
      `${eviction} ms is not a multiple of the flush interval, ${flush} ms`,
    );
  }
  return {
    statsFlushInterval: `${flush / 1000}s`,
    // Istio's metrics are kept by a logger that forgets unused series; Envoy refuses that without an interval.
    ...(eviction === 0 ? {} : { statsEvictionInterval: `${eviction / 1000}s` }),
    statsConfig: {
      useAllDefaultTags: false,
      statsTags: [
        ...TAGS.map(([tagName, regex]) => ({ tagName, regex })),
        ...unique([...settings.proxyConfig.extraStatTags, ...list('extraStatTags')])
          .filter((tag) => /^[A-Za-z_]\w*$/.test(tag))
          .map((tag) => ({ tagName: tag, regex: `(${tag}=\\.=(.*?);\\.;)` })),
      ],
      statsMatcher: {
        inclusionList: {
          patterns: [
            ...unique(prefixes).map((prefix) => ({ prefix })),
            ...unique(suffixes).map((suffix) => ({ suffix })),
            ...unique(regexps).map((regex) => ({ safeRegex: { regex } })),
          ],
        },
      },
      ...(buckets.length === 0 ? {} : { histogramBucketSettings: buckets }),
    },
  };
}

function interval(annotations: Readonly<Record<string, string>>, name: string, fallback: number): number {
  const text = annotations[`sidecar.istio.io/${name}`];
  return text === undefined ? fallback : parseDuration(text, `annotation sidecar.istio.io/${name}`);
}

function unique(list: readonly string[]): readonly string[] {
  return [...new Set(list)];
}

/** Annotation `sidecar.istio.io/statsHistogramBuckets`: an object of prefix to ascending bounds. */
function readBuckets(
  text: string | undefined,
): readonly { readonly match: { readonly prefix: string }; readonly buckets: readonly number[] }[] {
  if (!text) return [];
  const name = 'annotation sidecar.istio.io/statsHistogramBuckets';
  let parsed: Json;
  try {
    parsed = JSON.parse(text) as Json;
  } catch {
    throw new EnvironmentError(name, 'the value is not JSON, write {"istiocustom":[1,5,10]}');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new EnvironmentError(name, 'expected an object of prefix to list of numbers');
  return Object.entries(parsed).flatMap(([prefix, bounds]) => {
    if (!Array.isArray(bounds) || !bounds.every((bound) => typeof bound === 'number' && bound > 0)) {
      throw new EnvironmentError(name, `buckets of "${prefix}" must be a list of numbers above 0`);
    }
    return scopes(prefix).map((name) => ({ match: { prefix: name }, buckets: bounds as readonly number[] }));
  });
}

/** Istio's users know the metrics by the prefix of the Wasm extension that once made them; here they may be in any of these scopes. */
function scopes(prefix: string): readonly string[] {
  return prefix === 'istiocustom' ? ['istio', 'wasmcustom'] : [prefix];
}

/** Annotation `sidecar.istio.io/statsHistogramBins`: an object of prefix to the number of bins that a histogram begins with. */
function readBins(
  text: string | undefined,
): readonly { readonly match: { readonly prefix: string }; readonly bins: number }[] {
  if (!text) return [];
  const name = 'annotation sidecar.istio.io/statsHistogramBins';
  let parsed: Json;
  try {
    parsed = JSON.parse(text) as Json;
  } catch {
    throw new EnvironmentError(name, 'the value is not JSON, write {"istiocustom":50}');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new EnvironmentError(name, 'expected an object of prefix to number');
  return Object.entries(parsed).flatMap(([prefix, bins]) => {
    if (typeof bins !== 'number' || !Number.isInteger(bins) || bins < 1 || bins > 46_082)
      throw new EnvironmentError(name, `bins of "${prefix}" must be a whole number from 1 to 46082`);
    return scopes(prefix).map((scope) => ({ match: { prefix: scope }, bins }));
  });
}
