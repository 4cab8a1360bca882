/** Severity of a log line, most severe first. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

const ORDER = ['none', 'fatal', 'error', 'warn', 'info', 'debug'] as const;
/** Up to which severity a scope writes; `none` writes nothing. */
type OutputLevel = (typeof ORDER)[number];

/**
 * Writes lines in Istio's format: time, level, scope (where it is not the default one), message and `key=value` fields, with tabs between; or one JSON object
 * per line. Never give it a key, a token or the content of a secret.
 */
export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** The same log for one part of the agent, which has a level of its own. */
  scope(name: LogScope): Logger;
}

/** Parts of the agent's log: certificates and their rotation, the socket on which Envoy gets them, DNS, modules, the status port, the way to istiod. */
export const LOG_SCOPES = ['cache', 'sds', 'dns', 'wasm', 'status', 'xdsproxy'] as const;
export type LogScope = (typeof LOG_SCOPES)[number];

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Level of each scope that has one of its own, and of `default`. */
export type LogLevels = ReadonlyMap<string, OutputLevel>;

export interface LogOptions {
  readonly levels?: LogLevels;
  readonly json?: boolean;
  readonly write: (line: string) => void;
  readonly now?: () => Date;
}

/** A setting of the log that cannot be used; says what it may be. */
export class LogLevelError extends Error {
  constructor(part: string) {
    super(`--log_output_level: '${part}' is not SCOPE:LEVEL with a level of ${[...ORDER].reverse().join(', ')}`);
    this.name = 'LogLevelError';
  }
}

/** Text from outside must not look like a line of ours. */
const oneLine = (text: string): string =>
  text
    .replace(/[\r\n]+/g, ' ')
    .replace(
      /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g,
      (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
    );

export function createLogger(options: LogOptions): Logger {
  const { levels = new Map<string, OutputLevel>(), json = false, write, now = () => new Date() } = options;
  const inScope = (scope: string): Logger => {
    const limit = ORDER.indexOf(levels.get(scope) ?? levels.get('default') ?? 'info');
    const named = scope === 'default' ? undefined : scope;
    const emit =
      (level: LogLevel) =>
      (message: string, fields: LogFields = {}): void => {
        if (ORDER.indexOf(level) > limit) return;
        // Microseconds as in Istio's lines; the clock has milliseconds.
        const time = `${now().toISOString().slice(0, -1)}000Z`;
        if (json) {
          write(`${JSON.stringify({ level, time, ...(named && { scope: named }), msg: message, ...fields })}\n`);
          return;
        }
        let line = `${time}\t${level}\t${named ? `${named}\t` : ''}${oneLine(message)}`;
        for (const [key, value] of Object.entries(fields))
          if (value !== undefined) line += `\t${key}=${oneLine(String(value))}`;
        write(`${line}\n`);
      };
    return { error: emit('error'), warn: emit('warn'), info: emit('info'), debug: emit('debug'), scope: inScope };
  };
  return inScope('default');
}

/**
 * Levels of an Istio setting such as `default:info,dns:debug`, `all:debug` or `info`. Scopes of Istio's agent that this one does not have are let pass.
 * Raises {@link LogLevelError}.
 */
export function parseLogLevels(setting: string): LogLevels {
  const levels = new Map<string, OutputLevel>();
  for (const part of setting.split(',').filter((word) => word !== '')) {
    const [scope = '', word = ''] = part.includes(':') ? part.split(':', 2) : ['default', part];
    const name = word === 'warning' ? 'warn' : word;
    const level = ORDER.find((one) => one === name);
    if (scope === '' || level === undefined) throw new LogLevelError(part);
    for (const one of scope === 'all' ? ['default', ...LOG_SCOPES] : [scope]) levels.set(one, level);
  }
  return levels;
}
