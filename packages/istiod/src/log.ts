import { isWritten, type LogScopes } from './log-scopes.ts';

export type Severity = 'debug' | 'info' | 'warn' | 'error';

/** Writes one line of a named scope; never give it a key, a token or the content of a secret. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
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

/** The call stack of whoever wrote the line, one frame a line. */
function callStack(): readonly string[] {
  const { stack } = new Error('log');
  // The error's own line, this function, and the logger's.
  return (stack ?? '').split('\n').slice(3);
}

const callerOf = (frames: readonly string[]): string => /([^/(]+:\d+):\d+\)?$/.exec(frames[0] ?? '')?.[1] ?? '';

/**
 * Makes loggers that write Istio's line format: time, level, scope and message, separated by tabs, or one JSON object. What is written follows the scopes'
 * levels at that moment.
 */
export function createLoggers(options: {
  readonly scopes: LogScopes;
  readonly json: boolean;
  readonly now: () => Date;
  readonly write: (line: string) => void;
}): (scope: string, description: string) => Logger {
  const { scopes } = options;
  return (scope, description) => {
    scopes.register(scope, description);
    const at = (level: Severity) => (message: string) => {
      const settings = scopes.get(scope);
      if (settings === undefined || !isWritten(level, settings.outputLevel)) return;
      const time = options.now().toISOString();
      const withStack = isWritten(level, settings.stackTraceLevel);
      const frames = withStack || settings.logCallers ? callStack() : [];
      const caller = settings.logCallers ? callerOf(frames) : '';
      const stack = withStack ? frames.join('\n') : '';
      if (options.json)
        options.write(
          `${JSON.stringify({ level, time, scope, ...(caller && { caller }), msg: message, ...(stack && { stack }) })}\n`,
        );
      else
        options.write(
          `${time}\t${level}\t${scope}\t${caller && `${caller}\t`}${oneEntry(message)}${stack && `\n${stack}`}\n`,
        );
    };
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  };
}
