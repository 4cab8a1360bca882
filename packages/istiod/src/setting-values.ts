import { tryParseDuration } from '@istio-ts/api/duration';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** A flag or variable that cannot be used; the message names it and says what is expected. */
export class SettingsError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SettingsError';
  }
}

/** Reads `host:port`, `:port` or a bare port. */
export function parseListenAddress(flag: string, text: string): ListenAddress {
  const at = text.lastIndexOf(':');
  const port = Number(text.slice(at + 1));
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new SettingsError(`--${flag}: '${text}' is not an address of the form HOST:PORT or :PORT`);
  return { host: at > 0 ? text.slice(0, at).replace(/^\[|\]$/g, '') : '', port };
}

/** Reads a duration in Go's notation (`30s`, `1m30s`) into milliseconds. */
export function durationMs(flag: string, text: string): number {
  const value = tryParseDuration(text);
  if (value === undefined || value < 0) throw new SettingsError(`--${flag}: '${text}' is not a duration such as 30s`);
  return value;
}

/** The words of a list with commas, without empty ones. */
export const commaList = (text: string | undefined): readonly string[] =>
  (text ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter(Boolean);
