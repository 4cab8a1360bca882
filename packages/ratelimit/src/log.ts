import type { Log } from './service.ts';
import type { LogLevel } from './settings.ts';

const ORDER: readonly LogLevel[] = ['debug', 'info', 'warning', 'error'];

/** A log in the format that LOG_FORMAT names: `time="…" level=info msg="…"`, or JSON objects. */
export function createLog(least: LogLevel, json: boolean, write: (line: string) => void, now: () => Date): Log {
  const log =
    (level: LogLevel) =>
    (message: string): void => {
      if (ORDER.indexOf(level) < ORDER.indexOf(least)) return;
      const time = now().toISOString();
      write(
        json
          ? `${JSON.stringify({ '@message': message, '@timestamp': time, level })}\n`
          : `time="${time}" level=${level} msg=${JSON.stringify(message)}\n`,
      );
    };
  return { debug: log('debug'), info: log('info'), warning: log('warning'), error: log('error') };
}
