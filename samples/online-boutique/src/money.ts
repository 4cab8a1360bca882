import type { Money } from './contract.ts';

const nanosPerUnit = 1_000_000_000;

/** The sum of two amounts of one currency; throws when the currencies differ. */
export function add(a: Money, b: Money): Money {
  if (a.currencyCode !== b.currencyCode)
    throw new Error(`cannot add ${b.currencyCode} to ${a.currencyCode}: convert one of them first`);
  return normalise(a.currencyCode, a.units + b.units, a.nanos + b.nanos);
}

/** An amount times a whole number. */
export function multiply(amount: Money, times: number): Money {
  const nanos = amount.nanos * times;
  return normalise(amount.currencyCode, amount.units * times + Math.trunc(nanos / nanosPerUnit), nanos % nanosPerUnit);
}

/** An amount times a rate, in another currency, rounded down to a whole nano. */
export function exchange(amount: Money, rate: number, currencyCode: string): Money {
  const units = amount.units * rate;
  const whole = Math.floor(units);
  return normalise(currencyCode, whole, Math.floor((units - whole) * nanosPerUnit + amount.nanos * rate));
}

function normalise(currencyCode: string, units: number, nanos: number): Money {
  const carried = Math.trunc(nanos / nanosPerUnit);
  let wholeUnits = units + carried;
  let rest = nanos % nanosPerUnit;
  if (wholeUnits > 0 && rest < 0) {
    wholeUnits -= 1;
    rest += nanosPerUnit;
  } else if (wholeUnits < 0 && rest > 0) {
    wholeUnits += 1;
    rest -= nanosPerUnit;
  }
  return { currencyCode, units: wholeUnits, nanos: rest };
}

/** The amount as people write it, for example `$19.99`. */
export function format(amount: Money): string {
  const value = amount.units + amount.nanos / nanosPerUnit;
  return new Intl.NumberFormat('en-US', { style: 'currency', currency: amount.currencyCode }).format(value);
}
