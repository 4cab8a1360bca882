import { tryParseDuration } from '@istio-ts/api/duration';
import { CliError, usageExitCode } from './failure.ts';

/**
 * Reads a duration in Go's notation (`5m0s`, `1h30m`, `0`) into milliseconds. Raises CliError, which names the flag that it
 * belongs to; also below 0.
 */
export function durationMs(text: string, flag?: string): number {
  const value = tryParseDuration(text);
  if (value === undefined || value < 0)
    throw new CliError(
      `${flag === undefined ? '' : `${flag}: `}"${text}" is not a duration: write for example 90s or 5m`,
      usageExitCode,
    );
  return value;
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
