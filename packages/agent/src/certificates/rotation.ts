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

/** From when to when a certificate is valid, by its issuer's clock. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * How long from now until a certificate is renewed that was asked for, for `ttl`, at `asked`. Counted from then on: certificates begin before their issue,
 * for machines whose clocks run behind, and short ones would be due at once. A clock by which the certificate is over already or has not begun cannot say when
 * it ends; then only the lifetime counts.
 */
export function renewalDelay(
  { notBefore, notAfter }: Validity,
  request: { readonly asked: number; readonly ttl: number },
  now: number,
  rule: RotationRule,
  chance: number,
): number {
  if (clockComplaint({ notBefore, notAfter }, now) === undefined)
    return rotationDelay(Math.max(notBefore, request.asked), notAfter, now, rule, chance);
  return rotationDelay(0, Math.min(notAfter - notBefore, request.ttl), 0, rule, chance);
}

/** What to tell people when a certificate that has just come is not valid by this machine's clock. */
export function clockComplaint({ notBefore, notAfter }: Validity, now: number): string | undefined {
  const seconds = (ms: number): string => `${Math.ceil(ms / 1000)} s`;
  if (now < notBefore)
    return `the clock of this machine is at least ${seconds(notBefore - now)} behind the CA's: new certificates of others are not valid here yet, and connections to them fail until then`;
  if (now >= notAfter)
    return `the clock of this machine is at least ${seconds(now - notAfter)} ahead of the CA's: certificates of such a lifetime are over here when they come, and connections to others fail`;
  return undefined;
}

const FIRST_RETRY = 100;
const LONGEST_RETRY = 30_000;

/** Wait before attempt number `attempt` (1 for the first repetition): doubling from 0.1 s to 30 s, minus up to a half. */
export function retryDelay(attempt: number, chance: number): number {
  const longest = Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** Math.min(attempt - 1, 20));
  return longest * (1 - chance / 2);
}
