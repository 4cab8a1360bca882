import { toInt } from './convert.ts';
import { FunctionError } from './errors.ts';
import { type FunctionTable, fn } from './functions.ts';
import { formatTime, isTime, knownZone, msOf, parseGoDuration, parseTime, timeObject, zoneOf } from './go-time.ts';
import { type GoValue, numberOf } from './value.ts';

/** Seconds as Go prints a length of time. */
function durationText(seconds: number): string {
  if (seconds === 0) return '0s';
  const total = Math.abs(seconds);
  const h = Math.floor(total / 3600);
  const m = Math.floor((total % 3600) / 60);
  return `${seconds < 0 ? '-' : ''}${h > 0 ? `${h}h` : ''}${h > 0 || m > 0 ? `${m}m` : ''}${total % 60}s`;
}

/** A length of time in its largest unit alone: `2h`, `16d`, `3mo`. */
function roundedDuration(ms: number): string {
  const seconds = Math.trunc(Math.abs(ms) / 1000);
  const units: readonly (readonly [number, string])[] = [
    [365 * 86_400, 'y'],
    [30 * 86_400, 'mo'],
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'm'],
    [1, 's'],
  ];
  for (const [length, name] of units) if (seconds > length) return `${Math.trunc(seconds / length)}${name}`;
  return seconds === 1 ? '1s' : '0s';
}

/** Sprig's functions of dates. `now` is the clock; without a zone everything is in UTC. */
export function dateFunctions(now: () => Date): FunctionTable {
  /** What Sprig takes for a moment: a time, seconds since 1970, or anything else for now. */
  const moment = (value: GoValue): number => {
    if (isTime(value)) return msOf(value);
    const seconds = numberOf(value);
    return seconds === undefined ? now().getTime() : Math.trunc(seconds) * 1000;
  };
  const inZone = (layout: string, value: GoValue, zone: string): string =>
    formatTime(moment(value), knownZone(zone) ?? 'UTC', layout);
  const modify = (duration: string, value: GoValue): GoValue =>
    timeObject(moment(value) + parseGoDuration(duration), isTime(value) ? zoneOf(value) : 'UTC');
  const modifyOr = (duration: string, value: GoValue): GoValue => {
    try {
      return modify(duration, value);
    } catch (error) {
      if (error instanceof FunctionError) return value;
      throw error;
    }
  };
  const dateInZone = fn(['string', 'any', 'string'], inZone);
  return {
    now: fn([], () => timeObject(now().getTime())),
    ago: fn(['any'], (value) => durationText(Math.round((now().getTime() - moment(value)) / 1000))),
    date: fn(['string', 'any'], (layout, value) => inZone(layout, value, isTime(value) ? zoneOf(value) : 'UTC')),
    dateInZone,
    date_in_zone: dateInZone,
    dateModify: fn(['string', 'any'], modifyOr),
    date_modify: fn(['string', 'any'], modifyOr),
    mustDateModify: fn(['string', 'any'], modify),
    must_date_modify: fn(['string', 'any'], modify),
    htmlDate: fn(['any'], (value) => inZone('2006-01-02', value, 'UTC')),
    htmlDateInZone: fn(['any', 'string'], (value, zone) => inZone('2006-01-02', value, zone)),
    toDate: fn(['string', 'string'], (layout, text) => {
      try {
        return parseTime(layout, text);
      } catch (error) {
        if (error instanceof FunctionError) return timeObject(Date.UTC(1, 0, 1) - 1899 * 365.2425 * 86_400_000);
        throw error;
      }
    }),
    mustToDate: fn(['string', 'string'], parseTime),
    unixEpoch: fn(['any'], (value) => String(Math.floor(moment(value) / 1000))),
    // Sprig takes text and int64; its own int is neither.
    duration: fn(['any'], (seconds) => durationText(typeof seconds === 'string' ? toInt(seconds) : 0)),
    durationRound: fn(['any'], (value) => {
      if (isTime(value)) return roundedDuration(now().getTime() - msOf(value));
      if (typeof value === 'string') {
        try {
          return roundedDuration(parseGoDuration(value));
        } catch {
          // Sprig gives zero for what is no duration.
          return '0s';
        }
      }
      return roundedDuration((numberOf(value) ?? 0) / 1e6);
    }),
  };
}
