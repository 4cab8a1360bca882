/** Numbers of a rolling update. */
export interface RolloutNumbers {
  readonly wanted: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
  readonly newReplicas: number;
  readonly newAvailable: number;
  readonly old: readonly { readonly replicas: number; readonly available: number }[];
}

/** An absolute number, or a percentage of `total` rounded up or down (Kubernetes, "Max Surge" and "Max Unavailable"). */
export function resolveShare(value: number | string | undefined, total: number, fallback: string, up: boolean): number {
  const text = value ?? fallback;
  if (typeof text === 'number') return text;
  const share = /^(\d+)%$/.exec(text);
  if (share === null) return Number.parseInt(text, 10) || 0;
  const exact = (Number(share[1]) * total) / 100;
  return up ? Math.ceil(exact) : Math.floor(exact);
}

/** Next size of the new and the old ReplicaSets in a rolling update, never above the surge and never below the available minimum. Pure. */
export function nextRolloutStep(numbers: RolloutNumbers): {
  readonly newReplicas: number;
  readonly old: readonly number[];
} {
  const { wanted, maxSurge, maxUnavailable, newReplicas, newAvailable } = numbers;
  const old = numbers.old.map((item) => item.replicas);
  const total = newReplicas + sum(old);
  let next = newReplicas;
  if (newReplicas > wanted) next = wanted;
  else if (newReplicas < wanted) next = Math.min(wanted, newReplicas + Math.max(0, wanted + maxSurge - total));
  if (next !== newReplicas) return { newReplicas: next, old };
  const minimum = wanted - maxUnavailable;
  const newMissing = newReplicas - newAvailable;
  let removable = total - minimum - newMissing;
  if (removable <= 0) return { newReplicas: next, old };
  // Pods that serve nobody go first.
  const result = [...old];
  for (const [index, item] of numbers.old.entries()) {
    const broken = Math.min(item.replicas - item.available, removable);
    if (broken > 0) {
      result[index] = (result[index] ?? 0) - broken;
      removable -= broken;
    }
  }
  const available = newAvailable + sum(numbers.old.map((item) => item.available));
  let healthy = Math.max(0, available - minimum);
  for (const index of result.keys()) {
    const take = Math.min(result[index] ?? 0, healthy, Math.max(0, removable));
    result[index] = (result[index] ?? 0) - take;
    healthy -= take;
    removable -= take;
  }
  return { newReplicas: next, old: result };
}

function sum(list: readonly number[]): number {
  return list.reduce((total, item) => total + item, 0);
}
