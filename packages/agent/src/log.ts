/** Severity of a log line, most severe first. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

const ORDER: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

/** Writes lines in Istio's format: time, level, message and `key=value` fields, with tabs between; or one JSON object per line. */
export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface LogOptions {
  readonly level?: LogLevel;
  readonly json?: boolean;
  readonly write: (line: string) => void;
  readonly now?: () => Date;
}

export function createLogger(options: LogOptions): Logger {
  const limit = ORDER.indexOf(options.level ?? 'info');
  const now = options.now ?? (() => new Date());
  const emit =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (ORDER.indexOf(level) > limit) return;
      // Microseconds as in Istio's lines; the clock has milliseconds.
      const time = `${now().toISOString().slice(0, -1)}000Z`;
      if (options.json) {
        options.write(`${JSON.stringify({ level, time, msg: message, ...fields })}\n`);
        return;
      }
      let line = `${time}\t${level}\t${message.replace(/\n/g, ' ')}`;
      for (const [key, value] of Object.entries(fields)) if (value !== undefined) line += `\t${key}=${value}`;
      options.write(`${line}\n`);
    };
  return { error: emit('error'), warn: emit('warn'), info: emit('info'), debug: emit('debug') };
}

/** Level for the default scope of an Istio setting such as `default:info`, `all:debug` or `info`; other scopes are not ours. */
export function parseLogLevel(setting: string): LogLevel {
  let level: LogLevel = 'info';
  for (const part of setting.split(',')) {
    const [scope, name] = part.includes(':') ? part.split(':') : ['default', part];
    if (scope !== 'default' && scope !== 'all') continue;
    if (name === 'none' || name === 'fatal' || name === 'error') level = 'error';
    else if (name === 'warn' || name === 'warning') level = 'warn';
    else if (name === 'info' || name === 'debug') level = name;
  }
  return level;
}
