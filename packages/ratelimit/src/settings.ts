import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import type { LimitHeaders } from './decide.ts';
import type { RedisAddress, RespClientOptions } from './resp-client.ts';

/** A variable that cannot be used; the message names it and says what is expected. */
export class SettingsError extends Error {
  constructor(name: string, reason: string) {
    super(`${name}: ${reason}`);
    this.name = 'SettingsError';
  }
}

export type LogLevel = 'debug' | 'info' | 'warning' | 'error';

/** How the service runs, by the environment variables of envoyproxy/ratelimit. */
export interface Settings {
  readonly http: { readonly host: string; readonly port: number };
  readonly grpc: { readonly host: string; readonly port: number; readonly unixSocket: string };
  readonly grpcTls: SecureContextOptions | undefined;
  readonly maxConnectionAgeMs: number;
  readonly debug: { readonly host: string; readonly port: number };
  readonly prometheus: { readonly host: string; readonly port: number; readonly path: string } | undefined;
  readonly statsd: { readonly host: string; readonly port: number; readonly everyMs: number } | undefined;
  readonly log: { readonly level: LogLevel; readonly json: boolean };
  /** Where the configuration files are. */
  readonly configFolder: string;
  readonly mergeDomains: boolean;
  /** Ready only when a configuration was loaded. */
  readonly needsConfig: boolean;
  readonly store:
    | { readonly kind: 'memory' }
    | {
        readonly kind: 'redis';
        readonly redis: RespClientOptions;
        readonly perSecond: RespClientOptions | undefined;
        readonly needsConnection: boolean;
        readonly expirationJitterSeconds: number;
        readonly rememberedOverLimit: number;
      };
  readonly keyPrefix: string;
  readonly nearRatio: number;
  readonly shadow: boolean;
  readonly headers: LimitHeaders | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What one counter that is over its limit takes of LOCAL_CACHE_SIZE_IN_BYTES. */
const REMEMBERED_BYTES = 200;

/** Variables for what this service does not do, each with the value that asks for nothing. */
const NOT_DONE: Readonly<Record<string, string>> = {
  CONFIG_TYPE: 'FILE',
  GRPC_CLIENT_TLS_CACERT: '',
  GRPC_CLIENT_TLS_SAN: '',
  USE_DOG_STATSD: 'false',
  PROMETHEUS_MAPPER_YAML: '',
  STOP_CACHE_KEY_INCREMENT_WHEN_OVERLIMIT: 'false',
  MEMCACHE_HOST_PORT: '',
  MEMCACHE_SRV: '',
  TRACING_ENABLED: 'false',
  EXTRA_TAGS: '',
};

class Variables {
  readonly #env: Environment;

  constructor(env: Environment) {
    this.#env = env;
  }

  text(name: string, otherwise = ''): string {
    return this.#env[name] || otherwise;
  }

  flag(name: string, otherwise = false): boolean {
    const text = this.text(name, String(otherwise)).toLowerCase();
    if (['true', '1', 't'].includes(text)) return true;
    if (['false', '0', 'f'].includes(text)) return false;
    throw new SettingsError(name, `${JSON.stringify(text)} is neither true nor false`);
  }

  number(name: string, otherwise: number, most = Number.MAX_SAFE_INTEGER): number {
    const text = this.text(name, String(otherwise));
    const value = Number(text);
    if (!(value >= 0 && value <= most))
      throw new SettingsError(name, `${JSON.stringify(text)} is no number to ${most}`);
    return value;
  }

  port(name: string, otherwise: number): number {
    const port = this.number(name, otherwise, 65_535);
    if (!Number.isInteger(port)) throw new SettingsError(name, `${port} is no port`);
    return port;
  }

  milliseconds(name: string, otherwise: string): number {
    const text = this.text(name, otherwise);
    const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
    let total = 0;
    const rest = text.replace(/(\d+(?:\.\d+)?)(ms|s|m|h)/g, (_, count: string, unit: string) => {
      total += Number(count) * (units[unit] ?? 0);
      return '';
    });
    if (rest !== '' && text !== '0')
      throw new SettingsError(name, `${JSON.stringify(text)} is no duration such as 10s`);
    return total;
  }

  file(name: string): string {
    const path = this.text(name);
    if (path === '') throw new SettingsError(name, 'a file has to be named');
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new SettingsError(name, error instanceof Error ? error.message : String(error));
    }
  }
}

function logLevel(text: string): LogLevel {
  switch (text.toLowerCase()) {
    case 'trace':
    case 'debug':
      return 'debug';
    case 'info':
      return 'info';
    case 'warn':
    case 'warning':
      return 'warning';
    case 'error':
    case 'fatal':
    case 'panic':
      return 'error';
    default:
      throw new SettingsError('LOG_LEVEL', `${JSON.stringify(text)} is none of debug, info, warn, error`);
  }
}

function hostAndPort(name: string, text: string, defaultPort?: number): { host: string; port: number } {
  const found = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(text);
  const port = found?.[3] === undefined ? defaultPort : Number(found[3]);
  if (found === null || port === undefined || port > 65_535)
    throw new SettingsError(name, `${JSON.stringify(text)} is no HOST:PORT`);
  return { host: found[1] ?? found[2] ?? '', port };
}

function redisOf(variables: Variables, prefix: 'REDIS' | 'REDIS_PERSECOND'): RespClientOptions {
  const type = variables.text(`${prefix}_TYPE`, 'SINGLE').toUpperCase();
  if (type !== 'SINGLE')
    throw new SettingsError(`${prefix}_TYPE`, `${type} is not built: name one Redis, or a proxy in front of several`);
  const url = variables.text(`${prefix}_URL`);
  if (url === '') throw new SettingsError(`${prefix}_URL`, 'a Redis has to be named');
  const auth = variables.text(`${prefix}_AUTH`);
  const address = ((): RedisAddress => {
    const socketType = variables.text(`${prefix}_SOCKET_TYPE`, 'unix').toLowerCase();
    switch (socketType) {
      case 'unix':
        return { kind: 'unix', path: url };
      case 'tcp': {
        const at = hostAndPort(`${prefix}_URL`, url.replace(/^redis:\/\//, ''), 6379);
        if (!variables.flag(`${prefix}_TLS`)) return { kind: 'tcp', ...at };
        const certificate = variables.text('REDIS_TLS_CLIENT_CERT');
        return {
          kind: 'tcp',
          ...at,
          tls: {
            ...(variables.text('REDIS_TLS_CACERT') !== '' && { ca: variables.file('REDIS_TLS_CACERT') }),
            ...(certificate !== '' && {
              cert: variables.file('REDIS_TLS_CLIENT_CERT'),
              key: variables.file('REDIS_TLS_CLIENT_KEY'),
            }),
            ...(variables.flag('REDIS_TLS_SKIP_HOSTNAME_VERIFICATION') && { checkServerIdentity: () => undefined }),
          },
        };
      }
      default:
        throw new SettingsError(`${prefix}_SOCKET_TYPE`, `${JSON.stringify(socketType)} is neither tcp nor unix`);
    }
  })();
  return { address, ...(auth !== '' && { auth }) };
}

function storeOf(variables: Variables): Settings['store'] {
  const kind = variables.text('BACKEND_TYPE', variables.text('REDIS_URL') === '' ? 'memory' : 'redis').toLowerCase();
  if (kind === 'memory') return { kind };
  if (kind !== 'redis')
    throw new SettingsError('BACKEND_TYPE', `${JSON.stringify(kind)} is not built: redis or memory`);
  return {
    kind,
    redis: redisOf(variables, 'REDIS'),
    perSecond: variables.flag('REDIS_PERSECOND') ? redisOf(variables, 'REDIS_PERSECOND') : undefined,
    needsConnection: variables.flag('REDIS_HEALTH_CHECK_ACTIVE_CONNECTION'),
    expirationJitterSeconds: variables.number('EXPIRATION_JITTER_MAX_SECONDS', 300, 86_400),
    rememberedOverLimit: Math.floor(variables.number('LOCAL_CACHE_SIZE_IN_BYTES', 0) / REMEMBERED_BYTES),
  };
}

/** Reads the settings. Raises {@link SettingsError}, also for what this service does not do. */
export function readSettings(env: Environment): Settings {
  const variables = new Variables(env);
  for (const [name, nothing] of Object.entries(NOT_DONE))
    if (variables.text(name, nothing).toLowerCase() !== nothing.toLowerCase())
      throw new SettingsError(name, `${JSON.stringify(variables.text(name))} asks for what this service does not do`);
  const prometheus = hostAndPort('PROMETHEUS_ADDR', variables.text('PROMETHEUS_ADDR', ':9090'));
  return {
    http: { host: variables.text('HOST', '0.0.0.0'), port: variables.port('PORT', 8080) },
    grpc: {
      host: variables.text('GRPC_HOST', '0.0.0.0'),
      port: variables.port('GRPC_PORT', 8081),
      unixSocket: variables.text('GRPC_UDS'),
    },
    grpcTls: variables.flag('GRPC_SERVER_USE_TLS')
      ? { cert: variables.file('GRPC_SERVER_TLS_CERT'), key: variables.file('GRPC_SERVER_TLS_KEY') }
      : undefined,
    maxConnectionAgeMs: variables.milliseconds('GRPC_MAX_CONNECTION_AGE', '24h'),
    debug: { host: variables.text('DEBUG_HOST', '0.0.0.0'), port: variables.port('DEBUG_PORT', 6070) },
    prometheus: variables.flag('USE_PROMETHEUS')
      ? {
          host: prometheus.host || '0.0.0.0',
          port: prometheus.port,
          path: variables.text('PROMETHEUS_PATH', '/metrics'),
        }
      : undefined,
    statsd:
      variables.flag('USE_STATSD', true) && !variables.flag('DISABLE_STATS') && !variables.flag('USE_PROMETHEUS')
        ? {
            host: variables.text('STATSD_HOST', 'localhost'),
            port: variables.port('STATSD_PORT', 8125),
            everyMs: Math.max(100, variables.milliseconds('STATS_FLUSH_INTERVAL', '10s')),
          }
        : undefined,
    log: { level: logLevel(variables.text('LOG_LEVEL', 'WARN')), json: variables.text('LOG_FORMAT') === 'json' },
    configFolder: join(
      variables.text('RUNTIME_ROOT', '/srv/runtime_data/current'),
      variables.text('RUNTIME_SUBDIRECTORY'),
      variables.text('RUNTIME_APPDIRECTORY', 'config'),
    ),
    mergeDomains: variables.flag('MERGE_DOMAIN_CONFIG'),
    needsConfig: variables.flag('HEALTHY_WITH_AT_LEAST_ONE_CONFIG_LOADED'),
    store: storeOf(variables),
    keyPrefix: variables.text('CACHE_KEY_PREFIX'),
    nearRatio: variables.number('NEAR_LIMIT_RATIO', 0.8, 1),
    shadow: variables.flag('SHADOW_MODE'),
    headers: variables.flag('LIMIT_RESPONSE_HEADERS_ENABLED')
      ? {
          limit: variables.text('LIMIT_LIMIT_HEADER', 'RateLimit-Limit'),
          remaining: variables.text('LIMIT_REMAINING_HEADER', 'RateLimit-Remaining'),
          reset: variables.text('LIMIT_RESET_HEADER', 'RateLimit-Reset'),
        }
      : undefined,
  };
}
