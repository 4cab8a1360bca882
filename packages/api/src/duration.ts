const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const whole = /^[-+]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const part = /([0-9.]+)(ns|us|µs|μs|ms|s|m|h)/g;

/**
 * Milliseconds of a duration in the form of Go's `time.ParseDuration`, which Istio accepts: `2s`, `1.5s`, `1m30s`,
 * `500ms`, `0`. Throws a `RangeError` for anything else.
 */
export function parseDuration(text: string): number {
  const value = tryParseDuration(text);
  if (value === undefined)
    throw new RangeError(`${JSON.stringify(text)} is not a duration such as 500ms, 1.5s or 1m30s`);
  return value;
}

/** As `parseDuration`; `undefined` for anything else. */
export function tryParseDuration(text: string): number | undefined {
  if (text === '0' || text === '+0' || text === '-0') return 0;
  if (text.length > 64 || !whole.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(part)) total += Number(amount) * (units[unit ?? ''] ?? Number.NaN);
  // Below a nanosecond is the rounding error of the sum.
  total = Math.round(total * 1e6) / 1e6;
  return text.startsWith('-') ? -total : total;
}

/** A duration in protobuf's JSON form (`1.5s`), from milliseconds. */
export function formatDuration(milliseconds: number): string {
  const nanoseconds = Math.round((milliseconds % 1000) * 1e6);
  const seconds = Math.trunc(milliseconds / 1000);
  const sign = milliseconds < 0 ? '-' : '';
  const fraction = String(Math.abs(nanoseconds)).padStart(9, '0').replace(/0+$/, '');
  return `${sign}${Math.abs(seconds)}${fraction === '' ? '' : `.${fraction}`}s`;
}
