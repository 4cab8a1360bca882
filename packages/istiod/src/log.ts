import { SettingsError } from './settings.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Writes one line of a named scope; never give it a key, a token or the content of a secret. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

const ranks: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Levels per scope as `--log_output_level` gives them: `default:info,ads:debug`. Raises an Error that names what is wrong. */
export function parseLogLevels(text: string): ReadonlyMap<string, LogLevel> {
  const levels = new Map<string, LogLevel>([['default', 'info']]);
  for (const part of text.split(',').filter((word) => word !== '')) {
    const [scope, level] = part.includes(':') ? part.split(':', 2) : ['default', part];
    const known = level === 'none' ? 'error' : level === 'fatal' ? 'error' : level;
    if (!scope || !known || !Object.hasOwn(ranks, known))
      throw new SettingsError(
        `--log_output_level: '${part}' is not SCOPE:LEVEL with a level of debug, info, warn, error`,
      );
    levels.set(scope, known as LogLevel);
  }
  return levels;
}

/** Text from outside must not look like a line of ours: further lines are indented, other control characters are shown by their code. */
function oneEntry(message: string): string {
  return message
    .replaceAll('\r\n', '\n')
    .replaceAll('\n', '\n\t')
    .replace(
      /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g,
      (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
    );
}

/** Makes loggers that write Istio's line format: time, level, scope and message, separated by tabs, or one JSON object. */
export function createLoggers(options: {
  readonly levels: ReadonlyMap<string, LogLevel>;
  readonly json: boolean;
  readonly now: () => Date;
  readonly write: (line: string) => void;
}): (scope: string) => Logger {
  return (scope) => {
    const at = (level: LogLevel) => (message: string) => {
      const threshold = options.levels.get(scope) ?? options.levels.get('default') ?? 'info';
      if (ranks[level] < ranks[threshold]) return;
      const time = options.now().toISOString();
      options.write(
        options.json
          ? `${JSON.stringify({ level, time, scope, msg: message })}\n`
          : `${time}\t${level}\t${scope}\t${oneEntry(message)}\n`,
      );
    };
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  };
}
