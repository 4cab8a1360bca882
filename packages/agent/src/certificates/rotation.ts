/** When certificates are renewed and how long to wait after a failure; times in milliseconds, chance as an argument. */

export interface RotationRule {
  /** Share of the lifetime before its end in which a certificate is renewed (SECRET_GRACE_PERIOD_RATIO). */
  readonly graceRatio: number;
  /** Greatest change of that share to either side, so that pods do not come all at once. */
  readonly graceJitter: number;
}

/** How long from now until renewal; 0 when it is due. `chance` is between 0 and 1. */
export function rotationDelay(
  notBefore: number,
  notAfter: number,
  now: number,
  rule: RotationRule,
  chance: number,
): number {
  const jitter = rule.graceJitter * (chance * 2 - 1);
  const ratio = Math.min(1, Math.max(0, rule.graceRatio + jitter));
  return Math.max(0, notAfter - (notAfter - notBefore) * ratio - now);
}

const FIRST_RETRY = 100;
const LONGEST_RETRY = 30_000;

/** Wait before attempt number `attempt` (1 for the first repetition): doubling from 0.1 s to 30 s, minus up to a half. */
export function retryDelay(attempt: number, chance: number): number {
  const longest = Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** Math.min(attempt - 1, 20));
  return longest * (1 - chance / 2);
}
