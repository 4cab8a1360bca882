/** How numbers and times are written, everywhere the same. */

const number = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const fraction = new Intl.NumberFormat('en', { maximumSignificantDigits: 2 });
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** Three significant digits, thousands grouped. */
export const amount = (value: number): string => (Math.abs(value) >= 100 ? whole.format(value) : number.format(value));

export const rate = (perSecond: number): string =>
  perSecond === 0
    ? '0'
    : perSecond < 0.01
      ? '<0.01'
      : perSecond < 1
        ? fraction.format(perSecond)
        : perSecond >= 10_000
          ? `${number.format(perSecond / 1000)}k`
          : amount(perSecond);

/** A share of 1 as percent; small ones do not become 0. */
export function percent(share: number): string {
  if (share === 0) return '0%';
  const value = share * 100;
  if (value < 0.1) return '<0.1%';
  return `${value < 10 || (value > 99 && value < 100) ? value.toFixed(1) : Math.round(value)}%`;
}

/** Milliseconds in the unit that reads best. */
export function milliseconds(value: number): string {
  if (value < 1) return `${Math.round(value * 1000)} µs`;
  if (value < 1000) return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  return value < 60_000 ? `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s` : `${(value / 60_000).toFixed(1)} min`;
}

const units = ['B', 'KB', 'MB', 'GB', 'TB'] as const;

export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? Math.round(size) : number.format(size)} ${units[unit]}`;
}

export const bytesPerSecond = (value: number): string => `${bytes(value)}/s`;

const clockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayFormat = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
});

export const clock = (time: number): string => clockFormat.format(time);
export const dateTime = (time: number): string => dayFormat.format(time);

/** Seconds as a duration in words: `45 s`, `10 min`, `3 h`, `12 d`. */
export function span(seconds: number): string {
  const size = Math.abs(seconds);
  if (size < 60) return `${Math.round(seconds)} s`;
  if (size < 5400) return `${Math.round(seconds / 60)} min`;
  if (size < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export const age = (since: number, now: number = Date.now()): string => span(Math.max(0, (now - since) / 1000));

/** A sentence begins with a capital. Names that could not be words, such as `0.0.0.0_80` or `pods/log`, stay as they are. */
export const sentence = (text: string): string =>
  /^[a-z]+[ ,;:]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
