/** A version's share of the traffic in whole percent. */
export interface Weight {
  readonly version: string;
  readonly weight: number;
  /** A locked one keeps its share while others are moved. */
  readonly locked?: boolean;
}

/** Equal shares of 100; the first ones take what does not divide. */
export function evenWeights(versions: readonly string[]): readonly Weight[] {
  const share = Math.floor(100 / Math.max(versions.length, 1));
  const rest = 100 - share * versions.length;
  return versions.map((version, index) => ({ version, weight: share + (index < rest ? 1 : 0) }));
}

/** Brings weights of any size to a sum of 100 in their proportions (largest remainders get the rest). */
export function normalized(weights: readonly Weight[]): readonly Weight[] {
  const sum = weights.reduce((total, { weight }) => total + weight, 0);
  if (sum === 0) return evenWeights(weights.map(({ version }) => version));
  const exact = weights.map(({ weight }) => (weight * 100) / sum);
  const floors = exact.map(Math.floor);
  const rest = 100 - floors.reduce((total, value) => total + value, 0);
  const byRemainder = exact
    .map((value, index) => ({ index, remainder: value - Math.floor(value) }))
    .sort((a, b) => b.remainder - a.remainder || a.index - b.index)
    .slice(0, rest)
    .map(({ index }) => index);
  return weights.map((weight, index) => ({
    ...weight,
    weight: (floors[index] ?? 0) + (byRemainder.includes(index) ? 1 : 0),
  }));
}

/**
 * Moves one slider: the others that are not locked give or take in proportion to what they have, so that the sum stays 100. The moved one cannot take
 * from locked ones.
 */
export function moved(weights: readonly Weight[], version: string, to: number): readonly Weight[] {
  const lockedSum = weights
    .filter((each) => each.locked && each.version !== version)
    .reduce((total, { weight }) => total + weight, 0);
  const free = weights.filter((each) => !each.locked && each.version !== version);
  const available = 100 - lockedSum;
  const own = free.length === 0 ? available : Math.min(Math.max(Math.round(to), 0), available);
  const rest = available - own;
  const freeSum = free.reduce((total, { weight }) => total + weight, 0);
  const exact = free.map(({ weight }) => (freeSum === 0 ? rest / free.length : (weight * rest) / freeSum));
  const floors = exact.map(Math.floor);
  let left = rest - floors.reduce((total, value) => total + value, 0);
  const shares = new Map<string, number>();
  const order = exact
    .map((value, index) => ({ index, remainder: value - (floors[index] ?? 0) }))
    .sort((a, b) => b.remainder - a.remainder || a.index - b.index);
  for (const { index } of order) {
    const each = free[index];
    if (!each) continue;
    const extra = left > 0 ? 1 : 0;
    left -= extra;
    shares.set(each.version, (floors[index] ?? 0) + extra);
  }
  return weights.map((each) => {
    if (each.version === version) return { ...each, weight: own };
    const share = shares.get(each.version);
    return share === undefined ? each : { ...each, weight: share };
  });
}
