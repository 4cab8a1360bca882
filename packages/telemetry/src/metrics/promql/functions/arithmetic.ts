/** Functions of one number. */
export const numberFunctions: Readonly<Record<string, (value: number) => number>> = {
  abs: Math.abs,
  acos: Math.acos,
  acosh: Math.acosh,
  asin: Math.asin,
  asinh: Math.asinh,
  atan: Math.atan,
  atanh: Math.atanh,
  ceil: Math.ceil,
  cos: Math.cos,
  cosh: Math.cosh,
  deg: (value) => (value * 180) / Math.PI,
  exp: Math.exp,
  floor: Math.floor,
  ln: Math.log,
  log10: Math.log10,
  log2: Math.log2,
  rad: (value) => (value * Math.PI) / 180,
  sgn: Math.sign,
  sin: Math.sin,
  sinh: Math.sinh,
  sqrt: Math.sqrt,
  tan: Math.tan,
  tanh: Math.tanh,
};

const dayMs = 86_400_000;

/** Parts of a time in UTC, of seconds since 1970. */
export const timeFunctions: Readonly<Record<string, (seconds: number) => number>> = {
  day_of_month: (seconds) => dateOf(seconds).getUTCDate(),
  day_of_week: (seconds) => dateOf(seconds).getUTCDay(),
  day_of_year: (seconds) => {
    const date = dateOf(seconds);
    return Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / dayMs) + 1;
  },
  days_in_month: (seconds) => {
    const date = dateOf(seconds);
    return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  },
  hour: (seconds) => dateOf(seconds).getUTCHours(),
  minute: (seconds) => dateOf(seconds).getUTCMinutes(),
  month: (seconds) => dateOf(seconds).getUTCMonth() + 1,
  year: (seconds) => dateOf(seconds).getUTCFullYear(),
};

const dateOf = (seconds: number): Date => new Date(Math.trunc(seconds) * 1000);

/** The quantile of sorted values, between neighbours in proportion. */
export function quantileOf(q: number, sorted: ArrayLike<number>): number {
  const n = sorted.length;
  if (n === 0 || Number.isNaN(q)) return Number.NaN;
  if (q < 0) return Number.NEGATIVE_INFINITY;
  if (q > 1) return Number.POSITIVE_INFINITY;
  const rank = q * (n - 1);
  const lower = Math.max(0, Math.floor(rank));
  const upper = Math.min(n - 1, lower + 1);
  const weight = rank - Math.floor(rank);
  return (sorted[lower] ?? Number.NaN) * (1 - weight) + (sorted[upper] ?? Number.NaN) * weight;
}

/** Ascending, what is no number first. */
export function sortedNumbers(values: Iterable<number>): number[] {
  const rank = (value: number): number => (Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value);
  return [...values].sort((a, b) => {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
    return rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0;
  });
}

/** A sum that keeps what rounding loses (Kahan's, as Neumaier improved it). */
export class PreciseSum {
  #sum = 0;
  #lost = 0;
  add(value: number): void {
    const next = this.#sum + value;
    if (!Number.isFinite(next)) this.#lost = 0;
    else if (Math.abs(this.#sum) >= Math.abs(value)) this.#lost += this.#sum - next + value;
    else this.#lost += value - next + this.#sum;
    this.#sum = next;
  }
  get value(): number {
    return Number.isFinite(this.#sum) ? this.#sum + this.#lost : this.#sum;
  }
}

/** Mean that does not overflow where the sum would. */
export class RunningMean {
  #mean = 0;
  #count = 0;
  add(value: number): void {
    this.#count++;
    if (this.#count === 1) {
      this.#mean = value;
      return;
    }
    if (!Number.isFinite(this.#mean) && !Number.isNaN(this.#mean)) {
      // An infinite mean stays unless the other infinity, or what is no number, comes.
      if (value === this.#mean || Number.isFinite(value)) return;
    }
    this.#mean += value / this.#count - this.#mean / this.#count;
  }
  get value(): number {
    return this.#mean;
  }
}

/** Variance of a population (Welford). */
export function varianceOf(values: Iterable<number>): number {
  let count = 0;
  let mean = 0;
  let sum = 0;
  for (const value of values) {
    count++;
    const delta = value - mean;
    mean += delta / count;
    sum += delta * (value - mean);
  }
  return sum / count;
}
