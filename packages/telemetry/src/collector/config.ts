import { parseYaml } from '@istio-ts/kube';

/** A configuration of the collector that cannot be read, or that asks for what is not built. */
export class CollectorConfigError extends Error {
  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
    this.name = 'CollectorConfigError';
  }
}

export const SIGNALS = ['traces', 'metrics', 'logs'] as const;
export type Signal = (typeof SIGNALS)[number];

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Changes attributes of log records. */
export interface AttributeAction {
  readonly action: 'insert' | 'update' | 'upsert' | 'delete';
  readonly key: string;
  readonly value: string;
}

export type ExporterConfig =
  | { readonly kind: 'debug'; readonly name: string }
  | { readonly kind: 'otlp'; readonly name: string; readonly address: Address }
  | { readonly kind: 'otlphttp'; readonly name: string; readonly urls: Readonly<Record<Signal, string>> }
  | { readonly kind: 'zipkin'; readonly name: string; readonly url: string }
  | { readonly kind: 'loki'; readonly name: string; readonly url: string }
  | { readonly kind: 'prometheus'; readonly name: string; readonly address: Address };

export interface Pipeline {
  readonly signal: Signal;
  readonly actions: readonly AttributeAction[];
  readonly exporters: readonly ExporterConfig[];
}

export interface CollectorConfig {
  /** Where OTLP is taken; undefined: not by this protocol. */
  readonly grpc: Address | undefined;
  readonly http: Address | undefined;
  /** Where `/` answers whether it is well; undefined: nowhere. */
  readonly health: Address | undefined;
  readonly pipelines: readonly Pipeline[];
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown, path: string): Fields {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new CollectorConfigError(path, 'is no mapping');
  return value as Fields;
}

/** The same fields; others are refused, so that nobody believes that they do something. */
function only(value: unknown, path: string, known: readonly string[]): Fields {
  const fields = fieldsOf(value, path);
  for (const name of Object.keys(fields))
    if (!known.includes(name))
      throw new CollectorConfigError(`${path}.${name}`, `is not built here: there is ${known.join(', ') || 'nothing'}`);
  return fields;
}

function textOf(value: unknown, path: string): string {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
    throw new CollectorConfigError(path, 'is no text');
  return String(value);
}

function namesOf(value: unknown, path: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new CollectorConfigError(path, 'is no list');
  return value.map((name, index) => textOf(name, `${path}[${index}]`));
}

function addressOf(value: unknown, path: string, fallback: string): Address {
  const text = textOf(value ?? fallback, path).replace(/^(?:dns|passthrough):\/\/\/?|^http:\/\//, '');
  const found = /^(\[[^\]]+\]|[^:/]*):(\d+)\/?$/.exec(text);
  if (!found) throw new CollectorConfigError(path, `"${text}" is no HOST:PORT`);
  return { host: (found[1] ?? '').replace(/^\[|\]$/g, ''), port: Number(found[2]) };
}

function urlOf(value: unknown, path: string): string {
  const text = textOf(value ?? '', path);
  if (!/^http:\/\/[^/]+/.test(text))
    throw new CollectorConfigError(path, `"${text}" is no URL with http:// (TLS to a receiver is not built)`);
  return text.replace(/\/+$/, '');
}

const baseOf = (name: string): string => name.split('/')[0] ?? name;

function exporterOf(name: string, value: unknown, path: string): ExporterConfig {
  switch (baseOf(name)) {
    case 'debug':
    case 'logging':
      only(value, path, ['verbosity', 'loglevel', 'sampling_initial', 'sampling_thereafter']);
      return { kind: 'debug', name };
    case 'otlp': {
      const { endpoint, tls } = only(value, path, ['endpoint', 'tls', 'compression']);
      const isPlain = only(tls, `${path}.tls`, ['insecure']).insecure === true;
      if (!isPlain && !/^http:\/\//.test(String(endpoint)))
        throw new CollectorConfigError(`${path}.tls`, 'TLS to a receiver is not built: say insecure: true');
      return { kind: 'otlp', name, address: addressOf(endpoint, `${path}.endpoint`, '') };
    }
    case 'otlphttp': {
      const fields = only(value, path, ['endpoint', 'compression', 'tls', ...SIGNALS.map((one) => `${one}_endpoint`)]);
      only(fields.tls, `${path}.tls`, ['insecure']);
      const urls = SIGNALS.map((signal) => {
        const own = fields[`${signal}_endpoint`];
        if (own !== undefined) return [signal, urlOf(own, `${path}.${signal}_endpoint`)];
        return [
          signal,
          fields.endpoint === undefined ? '' : `${urlOf(fields.endpoint, `${path}.endpoint`)}/v1/${signal}`,
        ];
      });
      return { kind: 'otlphttp', name, urls: Object.fromEntries(urls) as Readonly<Record<Signal, string>> };
    }
    case 'zipkin':
      return {
        kind: 'zipkin',
        name,
        url: urlOf(only(value, path, ['endpoint', 'format', 'tls']).endpoint, `${path}.endpoint`),
      };
    case 'loki':
      return { kind: 'loki', name, url: urlOf(only(value, path, ['endpoint', 'tls']).endpoint, `${path}.endpoint`) };
    case 'prometheus':
      return {
        kind: 'prometheus',
        name,
        address: addressOf(only(value, path, ['endpoint']).endpoint, `${path}.endpoint`, '0.0.0.0:8889'),
      };
    default:
      throw new CollectorConfigError(
        path,
        'is not built: exporters are debug, logging, otlp, otlphttp, zipkin, loki and prometheus',
      );
  }
}

/** What an exporter can take. */
const TAKES: Readonly<Record<ExporterConfig['kind'], readonly Signal[]>> = {
  debug: SIGNALS,
  otlp: SIGNALS,
  otlphttp: SIGNALS,
  zipkin: ['traces'],
  loki: ['logs'],
  prometheus: ['metrics'],
};

function actionsOf(value: unknown, path: string): readonly AttributeAction[] {
  const { actions } = only(value, path, ['actions']);
  if (!Array.isArray(actions)) throw new CollectorConfigError(`${path}.actions`, 'is no list');
  return actions.map((entry, index) => {
    const at = `${path}.actions[${index}]`;
    const { action, key, value: to } = only(entry, at, ['action', 'key', 'value']);
    if (action !== 'insert' && action !== 'update' && action !== 'upsert' && action !== 'delete')
      throw new CollectorConfigError(
        `${at}.action`,
        `"${String(action)}" is not built: insert, update, upsert, delete are`,
      );
    return {
      action,
      key: textOf(key, `${at}.key`),
      value: action === 'delete' ? '' : textOf(to, `${at}.value`),
    };
  });
}

/** The actions of a processor; those of which nothing depends here (batches, limits of memory) have none. */
function processorOf(name: string, value: unknown, path: string): readonly AttributeAction[] {
  switch (baseOf(name)) {
    // What arrives is sent on as it came, within fixed bounds of memory.
    case 'batch':
    case 'memory_limiter':
      return [];
    case 'attributes':
      return actionsOf(value, path);
    default:
      throw new CollectorConfigError(path, 'is not built: processors are batch, memory_limiter and attributes');
  }
}

/** `${env:NAME}`, `${env:NAME:-DEFAULT}` and `${NAME}`; `$$` is a dollar. */
function withEnvironment(text: string, env: Readonly<Record<string, string | undefined>>): string {
  return text.replace(/\$\$|\$\{(?:env:)?(\w+)(?::-([^}]*))?\}/g, (whole, name?: string, fallback?: string) =>
    whole === '$$' ? '$' : (env[name ?? ''] ?? fallback ?? ''),
  );
}

/**
 * Reads a configuration file of the OpenTelemetry collector, as far as it is built: OTLP in; out to the terminal, OTLP, Zipkin, Loki, Prometheus. Raises
 * CollectorConfigError, which names the field, for everything else.
 */
export function readCollectorConfig(
  text: string,
  env: Readonly<Record<string, string | undefined>> = {},
): CollectorConfig {
  let parsed: unknown;
  try {
    parsed = parseYaml(withEnvironment(text, env), "the collector's configuration");
  } catch (error) {
    throw new CollectorConfigError('configuration', error instanceof Error ? error.message : String(error));
  }
  const root = only(parsed, 'configuration', [
    'receivers',
    'processors',
    'exporters',
    'extensions',
    'connectors',
    'service',
  ]);
  only(root.connectors, 'connectors', []);
  const receivers = fieldsOf(root.receivers, 'receivers');
  const exporters = fieldsOf(root.exporters, 'exporters');
  const processors = fieldsOf(root.processors, 'processors');
  const extensions = fieldsOf(root.extensions, 'extensions');
  const service = only(root.service, 'service', ['pipelines', 'extensions', 'telemetry']);
  only(service.telemetry, 'service.telemetry', ['logs']);

  const wanted = new Set<string>();
  const made = new Map<string, ExporterConfig>();
  const pipelines = Object.entries(fieldsOf(service.pipelines, 'service.pipelines')).map(([name, value]): Pipeline => {
    const path = `service.pipelines.${name}`;
    const signal = SIGNALS.find((one) => one === baseOf(name));
    if (signal === undefined) throw new CollectorConfigError(path, `there are ${SIGNALS.join(', ')}`);
    const fields = only(value, path, ['receivers', 'processors', 'exporters']);
    const sources = namesOf(fields.receivers, `${path}.receivers`);
    if (sources.length === 0) throw new CollectorConfigError(`${path}.receivers`, 'is empty');
    for (const source of sources) {
      if (!Object.hasOwn(receivers, source))
        throw new CollectorConfigError(`${path}.receivers`, `there is no receiver ${source}`);
      if (baseOf(source) !== 'otlp') throw new CollectorConfigError(`receivers.${source}`, 'is not built: otlp is');
      wanted.add(source);
    }
    const actions = namesOf(fields.processors, `${path}.processors`).flatMap((processor) => {
      if (!Object.hasOwn(processors, processor))
        throw new CollectorConfigError(`${path}.processors`, `there is no processor ${processor}`);
      const found = processorOf(processor, processors[processor], `processors.${processor}`);
      if (found.length > 0 && signal !== 'logs')
        throw new CollectorConfigError(`${path}.processors`, `${processor} is built for logs only`);
      return found;
    });
    const targets = namesOf(fields.exporters, `${path}.exporters`).map((target) => {
      if (!Object.hasOwn(exporters, target))
        throw new CollectorConfigError(`${path}.exporters`, `there is no exporter ${target}`);
      const exporter = made.get(target) ?? exporterOf(target, exporters[target], `exporters.${target}`);
      made.set(target, exporter);
      if (!TAKES[exporter.kind].includes(signal))
        throw new CollectorConfigError(`${path}.exporters`, `${target} takes no ${signal}`);
      if (exporter.kind === 'otlphttp' && exporter.urls[signal] === '')
        throw new CollectorConfigError(`exporters.${target}.endpoint`, 'is missing');
      return exporter;
    });
    if (targets.length === 0) throw new CollectorConfigError(`${path}.exporters`, 'is empty');
    return { signal, actions, exporters: targets };
  });
  if (pipelines.length === 0) throw new CollectorConfigError('service.pipelines', 'is empty');
  if (wanted.size > 1) throw new CollectorConfigError('receivers', 'more than one receiver is not built');
  const [receiver = ''] = wanted;
  const protocols = only(
    only(receivers[receiver], `receivers.${receiver}`, ['protocols']).protocols,
    `receivers.${receiver}.protocols`,
    ['grpc', 'http'],
  );
  const protocol = (name: 'grpc' | 'http', fallback: string): Address | undefined => {
    if (!Object.hasOwn(protocols, name)) return undefined;
    const path = `receivers.${receiver}.protocols.${name}`;
    return addressOf(only(protocols[name], path, ['endpoint']).endpoint, `${path}.endpoint`, fallback);
  };
  const named = namesOf(service.extensions, 'service.extensions');
  for (const name of named)
    if (baseOf(name) !== 'health_check')
      throw new CollectorConfigError(`extensions.${name}`, 'is not built: health_check is');
  const [health] = named;
  return {
    grpc: protocol('grpc', 'localhost:4317'),
    http: protocol('http', 'localhost:4318'),
    health:
      health === undefined
        ? undefined
        : addressOf(
            only(extensions[health], `extensions.${health}`, ['endpoint']).endpoint,
            `extensions.${health}.endpoint`,
            'localhost:13133',
          ),
    pipelines,
  };
}
