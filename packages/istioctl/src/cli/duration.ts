import { CliError, usageExitCode } from './failure.ts';

const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/**
 * Reads a duration in Go's notation (`5m0s`, `1h30m`, `0`) into milliseconds. Raises CliError, which names the flag that it
 * belongs to.
 */
export function durationMs(text: string, flag?: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text)
    throw new CliError(
      `${flag === undefined ? '' : `${flag}: `}"${text}" is not a duration: write for example 90s or 5m`,
      usageExitCode,
    );
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * (units[unit ?? ''] ?? 0), 0);
}

/** Reads a whole number that a flag was given. Raises CliError, which names the flag. */
export function wholeNumber(text: string, flag: string, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || value < min || value > max)
    throw new CliError(
      `${flag}: "${text}" is not a whole number${max === Number.MAX_SAFE_INTEGER ? '' : ` from ${min} to ${max}`}`,
      usageExitCode,
    );
  return value;
}
