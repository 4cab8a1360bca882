import { dump } from 'js-yaml';
import { CliError } from './failure.ts';

export type Format = 'short' | 'json' | 'yaml';

/** Checks `-o`; raises CliError for what the command cannot print. */
export function formatFrom(value: string, allowed: readonly string[] = ['short', 'json', 'yaml']): Format {
  const format = value === 'table' || value === '' ? 'short' : value;
  if (!allowed.includes(value) && !allowed.includes(format))
    throw new CliError(`output format "${value}" is not supported: use one of ${allowed.join(', ')}`);
  return format as Format;
}

export function structured(value: unknown, format: 'json' | 'yaml'): string {
  return format === 'json' ? `${JSON.stringify(value, null, 4)}\n` : dump(value, { lineWidth: -1, noRefs: true });
}
