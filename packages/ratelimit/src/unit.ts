/** Time units of limits, with their length in seconds. A month has 30 days and a year 365: windows are of fixed length. */
export const UNIT_SECONDS = {
  SECOND: 1,
  MINUTE: 60,
  HOUR: 3600,
  DAY: 86_400,
  WEEK: 7 * 86_400,
  MONTH: 30 * 86_400,
  YEAR: 365 * 86_400,
} as const;

export type Unit = keyof typeof UNIT_SECONDS;

/** The unit of a name in any case; undefined for others. */
export function unitOf(name: string): Unit | undefined {
  const upper = name.toUpperCase();
  return Object.hasOwn(UNIT_SECONDS, upper) ? (upper as Unit) : undefined;
}

/** Second since 1970 at which the window of `seconds` length began that holds the moment. */
export function windowStart(nowMs: number, seconds: number): number {
  return Math.floor(nowMs / 1000 / seconds) * seconds;
}
