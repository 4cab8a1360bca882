import { tryParseDuration } from '@istio-ts/api/duration';

/** Thrown for a text that is no duration; names the setting it was read from. */
export class DurationError extends Error {
  constructor(setting: string, text: string) {
    super(`${setting}: "${text}" is not a duration; write it as 5s, 1m30s or 100ms`);
    this.name = 'DurationError';
  }
}

/** Milliseconds of a duration in Go's form (`1h30m`, `0.5s`), which also covers protobuf's JSON form (`45s`). Raises {@link DurationError}, also below 0. */
export function parseDuration(text: string, setting: string): number {
  const value = tryParseDuration(text);
  if (value === undefined || value < 0) throw new DurationError(setting, text);
  return value;
}

/** A duration in protobuf's JSON form. */
export function formatSeconds(milliseconds: number): string {
  return `${milliseconds / 1000}s`;
}
