import { parseYaml, YamlError } from '@istio-ts/kube';
import { durationMs } from '../promql/literals.ts';
import { anchoredPattern, PatternError } from '../storage/matcher.ts';
import { ConfigError, Fields } from './config-fields.ts';
import { defaultPattern, type RelabelRule, relabelActions } from './relabel.ts';

export { ConfigError } from './config-fields.ts';

export const discoveryRoles = ['pod', 'endpoints', 'service', 'node'] as const;
export type DiscoveryRole = (typeof discoveryRoles)[number];

/** One entry of `kubernetes_sd_configs`. */
export interface KubernetesDiscovery {
  readonly role: DiscoveryRole;
  /** Empty: all namespaces. */
  readonly namespaces: readonly string[];
  readonly ownNamespace: boolean;
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
}

export interface StaticTargets {
  readonly targets: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
}

/** How the store makes itself known to targets. Files are read at each scrape: they are renewed. */
export interface ScrapeAccess {
  readonly authorization:
    | { readonly type: string; readonly credentials?: string | undefined; readonly file?: string | undefined }
    | undefined;
  readonly basic:
    | { readonly username: string; readonly password: string; readonly file: string | undefined }
    | undefined;
  readonly tls: {
    readonly caFile: string | undefined;
    readonly certFile: string | undefined;
    readonly keyFile: string | undefined;
    readonly serverName: string | undefined;
    readonly insecureSkipVerify: boolean;
  };
}

/** One entry of `scrape_configs`. Times in milliseconds, sizes in bytes, 0: no limit. */
export interface ScrapeConfig {
  readonly job: string;
  readonly interval: number;
  readonly timeout: number;
  readonly path: string;
  readonly scheme: string;
  readonly params: ReadonlyMap<string, string>;
  readonly honorLabels: boolean;
  readonly honorTimestamps: boolean;
  readonly sampleLimit: number;
  readonly bodySizeLimit: number;
  readonly access: ScrapeAccess;
  readonly statics: readonly StaticTargets[];
  readonly kubernetes: readonly KubernetesDiscovery[];
  readonly relabel: readonly RelabelRule[];
  readonly metricRelabel: readonly RelabelRule[];
}

/** A Prometheus configuration, as far as this store follows it. */
export interface StoreConfig {
  readonly evaluationInterval: number;
  readonly scrapes: readonly ScrapeConfig[];
  /** What of the file is left out, for people. */
  readonly warnings: readonly string[];
  readonly text: string;
}

/** Sections that Prometheus has and this store has not: they do not keep it from scraping. */
const leftOut = ['rule_files', 'alerting', 'remote_write', 'remote_read', 'storage', 'tracing', 'otlp'];
const MAX_BODY = 64 << 20;

/** Reads a configuration of Prometheus. Raises ConfigError. */
export function readConfig(text: string, file: string): StoreConfig {
  let document: unknown;
  try {
    document = parseYaml(text, file);
  } catch (error) {
    if (error instanceof YamlError) throw new ConfigError(`${file}:${error.line}`, error.reason);
    throw error;
  }
  const top = new Fields(document, '');
  const global = top.fields('global') ?? new Fields({}, 'global');
  const interval = duration(global, 'scrape_interval', 60_000);
  const timeout = duration(global, 'scrape_timeout', 10_000);
  const evaluationInterval = duration(global, 'evaluation_interval', 60_000);
  // Labels for others that read from here, which nobody does.
  global.map('external_labels');
  global.end();
  const warnings = leftOut
    .filter((name) => {
      const value = top.raw(name);
      return value !== undefined && !(Array.isArray(value) && value.length === 0);
    })
    .map((name) => `${name} is left out: this store only scrapes and answers queries`);
  const scrapes = top.list('scrape_configs', (value, path) => readScrape(new Fields(value, path), interval, timeout));
  top.end();
  const twice = scrapes.find(({ job }, index) => scrapes.findIndex((other) => other.job === job) < index);
  if (twice) throw new ConfigError('scrape_configs', `job_name ${JSON.stringify(twice.job)} stands there twice`);
  return { evaluationInterval, scrapes, warnings, text };
}

function duration(fields: Fields, name: string, preset: number): number {
  const text = fields.optional(name);
  if (text === undefined) return preset;
  const value = durationMs(text);
  if (value === undefined || value <= 0)
    throw new ConfigError(fields.pathOf(name), `${JSON.stringify(text)} is not a duration`);
  return value;
}

const sizes: Readonly<Record<string, number>> = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 };

function size(fields: Fields, name: string): number {
  const text = fields.text(name, '0');
  const found = /^(\d+(?:\.\d+)?)\s*(B|KB|MB|GB)?$/.exec(text);
  if (!found) throw new ConfigError(fields.pathOf(name), `${JSON.stringify(text)} is not a size`);
  return Number(found[1]) * (sizes[found[2] ?? 'B'] ?? 1);
}

function readScrape(fields: Fields, globalInterval: number, globalTimeout: number): ScrapeConfig {
  const job = fields.text('job_name', '');
  if (job === '') throw new ConfigError(fields.pathOf('job_name'), 'it is empty');
  const interval = duration(fields, 'scrape_interval', globalInterval);
  const timeout = duration(fields, 'scrape_timeout', Math.min(globalTimeout, interval));
  if (timeout > interval)
    throw new ConfigError(fields.pathOf('scrape_timeout'), 'it is longer than the scrape interval');
  const scheme = fields.text('scheme', 'http');
  if (scheme !== 'http' && scheme !== 'https')
    throw new ConfigError(fields.pathOf('scheme'), 'it is neither http nor https');
  const params = new Fields(fields.raw('params'), fields.pathOf('params'));
  const config: ScrapeConfig = {
    job,
    interval,
    timeout,
    path: fields.text('metrics_path', '/metrics'),
    scheme,
    params: new Map(
      Object.keys((fields.raw('params') as object | undefined) ?? {}).map((name) => [
        name,
        params.texts(name)[0] ?? '',
      ]),
    ),
    honorLabels: fields.flag('honor_labels', false),
    honorTimestamps: fields.flag('honor_timestamps', true),
    sampleLimit: fields.number('sample_limit', 0),
    bodySizeLimit: size(fields, 'body_size_limit') || MAX_BODY,
    access: readAccess(fields),
    statics: fields.list('static_configs', (value, path) => {
      const entry = new Fields(value, path);
      const targets = { targets: entry.texts('targets'), labels: entry.map('labels') };
      entry.end();
      return targets;
    }),
    kubernetes: fields.list('kubernetes_sd_configs', (value, path) => readDiscovery(new Fields(value, path))),
    relabel: fields.list('relabel_configs', (value, path) => readRule(new Fields(value, path))),
    metricRelabel: fields.list('metric_relabel_configs', (value, path) => readRule(new Fields(value, path))),
  };
  // What the store does anyway: it follows no redirects, takes text in whatever compression comes.
  for (const harmless of [
    'follow_redirects',
    'enable_http2',
    'enable_compression',
    'scrape_protocols',
    'fallback_scrape_protocol',
    'scrape_classic_histograms',
  ])
    fields.raw(harmless);
  fields.end();
  return config;
}

function readAccess(fields: Fields): ScrapeAccess {
  const authorization = fields.fields('authorization');
  const bearer = fields.optional('bearer_token');
  const bearerFile = fields.optional('bearer_token_file');
  const basic = fields.fields('basic_auth');
  const tls = fields.fields('tls_config');
  const access: ScrapeAccess = {
    authorization: authorization
      ? {
          type: authorization.text('type', 'Bearer'),
          credentials: authorization.optional('credentials'),
          file: authorization.optional('credentials_file'),
        }
      : bearer !== undefined || bearerFile !== undefined
        ? { type: 'Bearer', credentials: bearer, file: bearerFile }
        : undefined,
    basic: basic && {
      username: basic.text('username', ''),
      password: basic.text('password', ''),
      file: basic.optional('password_file'),
    },
    tls: {
      caFile: tls?.optional('ca_file'),
      certFile: tls?.optional('cert_file'),
      keyFile: tls?.optional('key_file'),
      serverName: tls?.optional('server_name'),
      insecureSkipVerify: tls?.flag('insecure_skip_verify', false) ?? false,
    },
  };
  for (const part of [authorization, basic, tls]) part?.end();
  return access;
}

function readDiscovery(fields: Fields): KubernetesDiscovery {
  const role = fields.text('role', '');
  const known = discoveryRoles.find((name) => name === role);
  if (known === undefined)
    throw new ConfigError(
      fields.pathOf('role'),
      `${JSON.stringify(role)} is not supported by this store; it knows ${discoveryRoles.join(', ')}`,
    );
  const namespaces = fields.fields('namespaces');
  const selectors = fields.list('selectors', (value, path) => {
    const entry = new Fields(value, path);
    const selector = { role: entry.text('role', ''), label: entry.optional('label'), field: entry.optional('field') };
    entry.end();
    return selector;
  });
  const selector = selectors.find((entry) => entry.role === role);
  const discovery: KubernetesDiscovery = {
    role: known,
    namespaces: namespaces?.texts('names') ?? [],
    ownNamespace: namespaces?.flag('own_namespace', false) ?? false,
    labelSelector: selector?.label,
    fieldSelector: selector?.field,
  };
  namespaces?.end();
  fields.end();
  return discovery;
}

function readRule(fields: Fields): RelabelRule {
  const given = fields.text('action', 'replace').toLowerCase();
  const action = relabelActions.find((name) => name === given);
  if (action === undefined)
    throw new ConfigError(fields.pathOf('action'), `${JSON.stringify(given)} is not an action of relabelling`);
  const pattern = fields.optional('regex');
  let expand = defaultPattern;
  try {
    if (pattern !== undefined) expand = anchoredPattern(pattern);
  } catch (error) {
    if (error instanceof PatternError) throw new ConfigError(fields.pathOf('regex'), error.message);
    throw error;
  }
  const rule: RelabelRule = {
    action,
    sourceLabels: fields.texts('source_labels'),
    separator: fields.text('separator', ';'),
    targetLabel: fields.text('target_label', ''),
    replacement: fields.text('replacement', '$1'),
    modulus: fields.number('modulus', 0),
    expand,
  };
  const needsTarget = ['replace', 'hashmod', 'lowercase', 'uppercase', 'keepequal', 'dropequal'].includes(action);
  if (needsTarget && rule.targetLabel === '')
    throw new ConfigError(fields.pathOf('target_label'), `action ${action} needs it`);
  if (action === 'hashmod' && rule.modulus < 1)
    throw new ConfigError(fields.pathOf('modulus'), 'action hashmod needs it');
  fields.end();
  return rule;
}
