import { FunctionError } from './errors.ts';
import { GoObject, type GoValue } from './value.ts';

/** Moments and their layouts as Go's package `time` has them, as far as templates see them. Moments are in milliseconds since 1970. */

const MONTHS = [
  'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December',
] as const; // biome-ignore format: a table
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const;
/** What a layout may be made of, longer ones first (Go's documentation, package time, constants of layouts). */
const PARTS =
  /January|Jan|Monday|Mon|MST|2006|Z07:00|Z0700|-07:00|-0700|-07|002|01|02|03|04|05|06|15|PM|pm|__2|_2|[.,]0+(?![0-9])|[.,]9+(?![0-9])|1|2|3|4|5/g;

interface Civil {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly ms: number;
  readonly weekday: number;
  readonly yearDay: number;
  /** East of Greenwich, in minutes. */
  readonly offset: number;
  readonly zone: string;
}

/** A moment with the zone that it is shown in; what templates get from `now` and `toDate`. */
export function timeObject(ms: number, zone = 'UTC'): GoObject {
  const at = civil(ms, zone);
  return new GoObject(
    'time.Time',
    { ms, zone },
    {
      Unix: () => Math.floor(ms / 1000),
      UnixMilli: () => ms,
      Format: (layout) => formatTime(ms, zone, String(layout)),
      UTC: () => timeObject(ms),
      Year: () => at.year,
      Month: () => MONTHS[at.month - 1] ?? '',
      Day: () => at.day,
      Hour: () => at.hour,
      Minute: () => at.minute,
      Second: () => at.second,
      YearDay: () => at.yearDay,
      Weekday: () => DAYS[at.weekday] ?? '',
      String: () => formatTime(ms, zone, '2006-01-02 15:04:05 -0700 MST'),
    },
    {
      text: formatTime(ms, zone, '2006-01-02 15:04:05 -0700 MST'),
      data: new Date(ms).toISOString().replace('.000', ''),
    },
  );
}

export function isTime(value: GoValue): value is GoObject {
  return value instanceof GoObject && value.typeName === 'time.Time';
}

export function msOf(time: GoObject): number {
  return typeof time.fields.ms === 'number' ? time.fields.ms : 0;
}

export function zoneOf(time: GoObject): string {
  return typeof time.fields.zone === 'string' ? time.fields.zone : 'UTC';
}

export function knownZone(zone: string): string | undefined {
  if (zone === '' || zone === 'UTC' || zone === 'Local') return 'UTC';
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

function civil(ms: number, zone: string): Civil {
  const offset = zone === 'UTC' ? 0 : offsetOf(ms, zone);
  const local = new Date(ms + offset * 60_000);
  const start = Date.UTC(local.getUTCFullYear(), 0, 1);
  return {
    year: local.getUTCFullYear(),
    month: local.getUTCMonth() + 1,
    day: local.getUTCDate(),
    hour: local.getUTCHours(),
    minute: local.getUTCMinutes(),
    second: local.getUTCSeconds(),
    ms: local.getUTCMilliseconds(),
    weekday: local.getUTCDay(),
    yearDay: Math.floor((local.getTime() - start) / 86_400_000) + 1,
    offset,
    zone: zone === 'UTC' ? 'UTC' : abbreviation(ms, zone),
  };
}

function offsetOf(ms: number, zone: string): number {
  const part = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' })
    .formatToParts(ms)
    .find(({ type }) => type === 'timeZoneName')?.value;
  const match = /GMT([+-])(\d\d):(\d\d)/.exec(part ?? '');
  return match === null ? 0 : (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3]));
}

/** The zone's short name; languages know only those of their own regions, so more than one is asked. */
function abbreviation(ms: number, zone: string): string {
  for (const language of ['en-US', 'en-GB', 'de', 'fr', 'en-AU', 'en-IN']) {
    const name = new Intl.DateTimeFormat(language, { timeZone: zone, timeZoneName: 'short' })
      .formatToParts(ms)
      .find(({ type }) => type === 'timeZoneName')?.value;
    if (name === 'MEZ') return 'CET';
    if (name === 'MESZ') return 'CEST';
    if (name !== undefined && /^[A-Z]{3,5}$/.test(name)) return name;
  }
  return 'UTC';
}

const two = (value: number): string => String(value).padStart(2, '0');

export function formatTime(ms: number, zone: string, layout: string): string {
  const at = civil(ms, zone);
  const clock = at.hour % 12 === 0 ? 12 : at.hour % 12;
  const sign = at.offset < 0 ? '-' : '+';
  const hours = two(Math.floor(Math.abs(at.offset) / 60));
  const minutes = two(Math.abs(at.offset) % 60);
  const values: Readonly<Record<string, string>> = {
    January: MONTHS[at.month - 1] ?? '',
    Jan: (MONTHS[at.month - 1] ?? '').slice(0, 3),
    Monday: DAYS[at.weekday] ?? '',
    Mon: (DAYS[at.weekday] ?? '').slice(0, 3),
    MST: at.zone,
    '2006': String(at.year).padStart(4, '0'),
    '06': two(at.year % 100),
    '01': two(at.month),
    '1': String(at.month),
    '02': two(at.day),
    '2': String(at.day),
    _2: String(at.day).padStart(2, ' '),
    __2: String(at.yearDay).padStart(3, ' '),
    '002': String(at.yearDay).padStart(3, '0'),
    '15': two(at.hour),
    '03': two(clock),
    '3': String(clock),
    '04': two(at.minute),
    '4': String(at.minute),
    '05': two(at.second),
    '5': String(at.second),
    PM: at.hour < 12 ? 'AM' : 'PM',
    pm: at.hour < 12 ? 'am' : 'pm',
    'Z07:00': at.offset === 0 ? 'Z' : `${sign}${hours}:${minutes}`,
    Z0700: at.offset === 0 ? 'Z' : `${sign}${hours}${minutes}`,
    '-07:00': `${sign}${hours}:${minutes}`,
    '-0700': `${sign}${hours}${minutes}`,
    '-07': `${sign}${hours}`,
  };
  const fraction = String(at.ms).padStart(3, '0').padEnd(9, '0');
  return layout.replace(PARTS, (part, position: number) => {
    const value = values[part];
    if (value !== undefined) return value;
    // A fraction counts only behind seconds.
    if (!/(05|5)$/.test(layout.slice(0, position))) return part;
    const digits = fraction.slice(0, part.length - 1);
    const shown = part[1] === '9' ? digits.replace(/0+$/, '') : digits;
    return shown === '' ? '' : `${part[0] ?? ''}${shown}`;
  });
}

/** Reads a moment by a layout, in UTC where the text names no offset. Throws `FunctionError`. */
export function parseTime(layout: string, text: string): GoObject {
  const names: string[] = [];
  let rest = 0;
  let pattern = '';
  for (const match of layout.matchAll(PARTS)) {
    pattern += escaped(layout.slice(rest, match.index)) + patternOf(match[0]);
    names.push(match[0]);
    rest = match.index + match[0].length;
  }
  pattern += escaped(layout.slice(rest));
  const found = new RegExp(`^${pattern}$`).exec(text);
  const refuse = (): never => {
    throw new FunctionError(
      `parsing time ${JSON.stringify(text)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(text)} as ${JSON.stringify(names[0] ?? layout)}`,
    );
  };
  if (found === null) return refuse();
  const at = {
    year: 0,
    month: 1,
    day: 1,
    hour: 0,
    minute: 0,
    second: 0,
    ms: 0,
    offset: 0,
    pm: undefined as boolean | undefined,
  };
  for (const [index, name] of names.entries()) readPart(name, found[index + 1] ?? '', at);
  const hour = at.pm === undefined ? at.hour : (at.hour % 12) + (at.pm ? 12 : 0);
  const date = new Date(0);
  date.setUTCFullYear(at.year, at.month - 1, at.day);
  date.setUTCHours(hour, at.minute, at.second, at.ms);
  if (date.getUTCMonth() !== at.month - 1 || at.hour > 23 || at.minute > 59 || at.second > 59) return refuse();
  return timeObject(date.getTime() - at.offset * 60_000);
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

function patternOf(part: string): string {
  if (/^[.,]/.test(part)) return '([.,]\\d+)?';
  switch (part) {
    case 'January':
      return `(${MONTHS.join('|')})`;
    case 'Jan':
      return `(${MONTHS.map((name) => name.slice(0, 3)).join('|')})`;
    case 'Monday':
      return `(${DAYS.join('|')})`;
    case 'Mon':
      return `(${DAYS.map((name) => name.slice(0, 3)).join('|')})`;
    case 'MST':
      return '([A-Z]{3,5})';
    case '2006':
      return '(\\d{4})';
    case '002':
      return '(\\d{3})';
    case '_2':
      return '( ?\\d{1,2})';
    case '__2':
      return '([ \\d]{3})';
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '15':
      return '(\\d{1,2})';
    case 'PM':
      return '(AM|PM)';
    case 'pm':
      return '(am|pm)';
    case 'Z07:00':
      return '(Z|[+-]\\d\\d:\\d\\d)';
    case 'Z0700':
      return '(Z|[+-]\\d{4})';
    case '-07:00':
      return '([+-]\\d\\d:\\d\\d)';
    case '-0700':
      return '([+-]\\d{4})';
    case '-07':
      return '([+-]\\d\\d)';
    default:
      return '(\\d{2})';
  }
}

interface Reading {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  ms: number;
  offset: number;
  pm: boolean | undefined;
}

function readPart(part: string, text: string, at: Reading): void {
  const value = Number(text);
  if (/^[.,]/.test(part)) at.ms = Math.trunc(Number(`0.${text.slice(1) || '0'}`) * 1000);
  else if (part === '2006') at.year = value;
  else if (part === '06') at.year = value + (value >= 69 ? 1900 : 2000);
  else if (part === '01' || part === '1') at.month = value;
  else if (part === 'January' || part === 'Jan')
    at.month = MONTHS.findIndex((name) => name === text || name.slice(0, 3) === text) + 1;
  else if (part === '02' || part === '2' || part === '_2') at.day = value;
  else if (part === '15' || part === '03' || part === '3') at.hour = value;
  else if (part === '04' || part === '4') at.minute = value;
  else if (part === '05' || part === '5') at.second = value;
  else if (part === 'PM' || part === 'pm') at.pm = text.toLowerCase() === 'pm';
  else if (/07/.test(part) && text !== 'Z') {
    const digits = text.replace(':', '');
    at.offset = (digits[0] === '-' ? -1 : 1) * (Number(digits.slice(1, 3)) * 60 + Number(digits.slice(3) || '0'));
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

/** Go's form of a length of time (`1h30m`, `-1.5h`) in milliseconds. Throws `FunctionError`. */
export function parseGoDuration(text: string): number {
  const match = /^([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.exec(text);
  if (text === '0') return 0;
  if (match === null) throw new FunctionError(`time: invalid duration ${JSON.stringify(text)}`);
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g))
    sum += Number(amount) * (UNITS[unit ?? ''] ?? 0);
  return match[1] === '-' ? -sum : sum;
}
