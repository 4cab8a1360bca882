const SUFFIXES: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A Kubernetes quantity as a number of its base unit (`100m` is 0.1, `64Mi` is 67108864); NaN when it is none. */
export function parseQuantity(text: string | number): number {
  if (typeof text === 'number') return text;
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([A-Za-z]{0,2}))$/.exec(text.trim());
  if (match === null) return Number.NaN;
  const [, number = '', exponent, suffix = ''] = match;
  if (exponent !== undefined) return Number(number + exponent);
  const factor = SUFFIXES[suffix];
  return factor === undefined ? Number.NaN : Number(number) * factor;
}

/** Quantity by divisor, rounded up (Kubernetes, ResourceFieldSelector). */
export function divideQuantity(quantity: string, divisor: string): number {
  const value = parseQuantity(quantity) / parseQuantity(divisor);
  // 0.1 / 0.001 must stay 100.
  return Number.isFinite(value) ? Math.ceil(Number(value.toPrecision(12))) : 0;
}
