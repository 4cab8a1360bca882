import type { Chart } from '../../src/api.ts';
import { amount, bytes, bytesPerSecond, milliseconds, percent, rate } from '../state/format.ts';

/** How the values of a unit are written. Percent values of charts are 0 to 100. */
export function unitFormat(unit: Chart['unit']): (value: number) => string {
  switch (unit) {
    case 'rps':
      return (value) => `${rate(value)}/s`;
    case 'ms':
      return milliseconds;
    case 'Bps':
      return bytesPerSecond;
    case 'percent':
      return (value) => percent(value / 100);
    case 'bytes':
      return bytes;
    case 'count':
      return amount;
    case 'cpu':
      return (value) => (value < 1 ? `${Math.round(value * 1000)}m` : amount(value));
  }
}
