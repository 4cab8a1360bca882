import { amount, bytes, milliseconds, rate } from '../state/format.ts';

const fixed = (value: number, decimals: number | undefined): string =>
  decimals === undefined ? amount(value) : value.toFixed(decimals);

const perSecond: Readonly<Record<string, string>> = {
  reqps: 'req/s',
  rps: 'reads/s',
  wps: 'writes/s',
  ops: 'ops/s',
  cps: '/s',
  pps: 'packets/s',
  iops: 'io/s',
  opm: '/min',
  cpm: '/min',
  mps: 'msg/s',
};

/** How values of one of Grafana's units are written; unknown ones as plain numbers with the unit's name behind. */
export function grafanaUnit(unit: string, decimals?: number): (value: number) => string {
  const named = perSecond[unit];
  if (named !== undefined) return (value) => `${rate(value)} ${named}`;
  switch (unit) {
    case '':
    case 'none':
    case 'short':
    case 'string':
      return (value) =>
        Math.abs(value) >= 1e6
          ? `${fixed(value / 1e6, decimals ?? 1)}M`
          : Math.abs(value) >= 1e4
            ? `${fixed(value / 1e3, decimals ?? 1)}k`
            : fixed(value, decimals);
    case 'percentunit':
      return (value) => `${fixed(value * 100, decimals)}%`;
    case 'percent':
      return (value) => `${fixed(value, decimals)}%`;
    case 's':
      return (value) =>
        value >= 86_400
          ? `${fixed(value / 86_400, decimals)} d`
          : value >= 3600
            ? `${fixed(value / 3600, decimals)} h`
            : milliseconds(value * 1000);
    case 'dtdurations':
      return (value) => milliseconds(value * 1000);
    case 'ms':
      return milliseconds;
    case 'µs':
      return (value) => milliseconds(value / 1000);
    case 'ns':
      return (value) => milliseconds(value / 1e6);
    case 'bytes':
    case 'decbytes':
      return bytes;
    case 'Bps':
    case 'binBps':
    case 'decBps':
      return (value) => `${bytes(value)}/s`;
    case 'bps':
    case 'binbps':
      return (value) => `${bytes(value / 8)}/s`;
    case 'bits':
      return (value) => bytes(value / 8);
    case 'dateTimeAsIso':
    case 'dateTimeFromNow':
      return (value) => new Date(value).toISOString().slice(0, 19).replace('T', ' ');
    case 'cores':
      return (value) => `${value < 1 ? `${Math.round(value * 1000)}m` : fixed(value, decimals)} cores`;
    default:
      return (value) => `${fixed(value, decimals)} ${unit.replace(/^suffix:/, '')}`;
  }
}

const colours: readonly (readonly [RegExp, string])[] = [
  [/red/i, 'failing'],
  [/orange|yellow/i, 'degraded'],
  [/green/i, 'healthy'],
  [/blue/i, 'info'],
];

/** A tone of ours for a colour of Grafana's. */
export const toneOf = (colour: string): string => colours.find(([pattern]) => pattern.test(colour))?.[1] ?? 'accent';
