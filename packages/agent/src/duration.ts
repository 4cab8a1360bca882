/** Thrown for a text that is no duration; names the setting it was read from. */
export class DurationError extends Error {
  constructor(setting: string, text: string) {
    super(`${setting}: "${text}" is not a duration; write it as 5s, 1m30s or 100ms`);
    this.name = 'DurationError';
  }
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a duration in Go's form (`1h30m`, `0.5s`), which also covers protobuf's JSON form (`45s`). Raises {@link DurationError}. */
export function parseDuration(text: string, setting: string): number {
  if (text === '0') return 0;
  const pattern = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/gy;
  let total = 0;
  let end = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    total += Number(match[1]) * (UNITS[match[2] ?? ''] ?? Number.NaN);
    end = pattern.lastIndex;
  }
  if (text === '' || end !== text.length || !Number.isFinite(total)) throw new DurationError(setting, text);
  return total;
}

/** A duration in protobuf's JSON form. */
export function formatSeconds(milliseconds: number): string {
  return `${milliseconds / 1000}s`;
}
