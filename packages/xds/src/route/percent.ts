import type { FractionalPercent } from '@istio-ts/envoy';

/** A percentage (0 to 100, four decimals kept) as a fraction of a million. */
export function fraction(percent: number): FractionalPercent {
  const bounded = Math.min(100, Math.max(0, percent));
  return { numerator: Math.round(bounded * 10_000), denominator: 'MILLION' };
}
