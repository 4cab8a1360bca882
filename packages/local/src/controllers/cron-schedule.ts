/** A parsed cron schedule: which minutes, hours, days, months and weekdays it names. */
export interface CronSchedule {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly weekdays: ReadonlySet<number>;
  /** With both restricted, a time fits when either does (crontab(5)). */
  readonly anyDay: boolean;
}

const MACROS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** Parses the five fields of crontab(5). Throws an Error that names the field. */
export function parseSchedule(text: string): CronSchedule {
  const fields = (MACROS[text.trim()] ?? text).trim().split(/\s+/);
  if (fields.length !== 5) throw new Error(`schedule "${text}": expected 5 fields, found ${fields.length}`);
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields;
  const weekdays = parseField(weekday, 0, 7, WEEKDAYS, 0);
  return {
    minutes: parseField(minute, 0, 59, [], 0),
    hours: parseField(hour, 0, 23, [], 0),
    days: parseField(day, 1, 31, [], 0),
    months: parseField(month, 1, 12, MONTHS, 1),
    weekdays: new Set([...weekdays].map((value) => value % 7)),
    anyDay: !day.startsWith('*') && !day.startsWith('?') && !weekday.startsWith('*') && !weekday.startsWith('?'),
  };
}

function parseField(text: string, low: number, high: number, names: readonly string[], base: number): Set<number> {
  const values = new Set<number>();
  const number = (word: string): number => {
    const named = names.indexOf(word.toLowerCase());
    const value = named >= 0 ? named + base : Number(word);
    if (word === '' || !Number.isInteger(value) || value < low || value > high) {
      throw new Error(`schedule field "${text}": "${word}" is not between ${low} and ${high}`);
    }
    return value;
  };
  for (const part of text.split(',')) {
    const [range = '', stepText] = part.split('/');
    const step = stepText === undefined ? 1 : Number(stepText);
    if (!Number.isInteger(step) || step < 1)
      throw new Error(`schedule field "${text}": step "${stepText}" is not positive`);
    let from = low;
    let to = high;
    if (range !== '*' && range !== '?') {
      const [first = '', last] = range.split('-');
      from = number(first);
      to = last !== undefined ? number(last) : stepText === undefined ? from : high;
    }
    for (let value = from; value <= to; value += step) values.add(value);
  }
  return values;
}

/** The first time after `after` that fits, in the time zone; undefined when there is none within five years. */
export function nextTime(schedule: CronSchedule, after: Date, timeZone = 'UTC'): Date | undefined {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    weekday: 'short',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
  const limit = after.getTime() + 5 * 366 * 86_400_000;
  let time = Math.floor(after.getTime() / 60_000) * 60_000 + 60_000;
  while (time <= limit) {
    const parts = Object.fromEntries(format.formatToParts(time).map(({ type, value }) => [type, value]));
    const weekday = WEEKDAYS.indexOf((parts.weekday ?? '').toLowerCase());
    const dayFits = schedule.days.has(Number(parts.day));
    const weekdayFits = schedule.weekdays.has(weekday);
    const fits = schedule.anyDay ? dayFits || weekdayFits : dayFits && weekdayFits;
    if (!schedule.months.has(Number(parts.month)) || !fits) {
      time += (60 - Number(parts.minute)) * 60_000;
      continue;
    }
    if (!schedule.hours.has(Number(parts.hour))) {
      time += (60 - Number(parts.minute)) * 60_000;
      continue;
    }
    if (schedule.minutes.has(Number(parts.minute))) return new Date(time);
    time += 60_000;
  }
  return undefined;
}
