import { readVerificationKeys, readTokenKeyId, type VerificationKeys, verifyToken } from '@istio-ts/security/jwt';
import { readTokenClaims, serviceAccountOf, TokenError, type TokenReviewResult } from '@istio-ts/security';
import type { Logger } from '../log.ts';

/** Time between two fetches of an issuer's keys, and the least one when a token names a key that is not among them. */
const REFRESH_MS = 20 * 60_000;
const UNKNOWN_KEY_MS = 30_000;
const RETRY_MS = 5000;

/** An issuer of tokens that istiod trusts beside the API server (JWT_RULE, TOKEN_ISSUER). */
export interface TrustedIssuer {
  readonly issuer: string;
  readonly audiences: readonly string[];
  /** Empty: the issuer's OpenID configuration tells. */
  readonly jwksUri: string;
  /** The key set itself; then nothing is fetched. */
  readonly jwks: string;
}

export interface IssuerOptions {
  /** Gives the text at a URL; rejects with what went wrong. */
  readonly fetchText: (url: string) => Promise<string>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Logger;
}

/**
 * Verifies tokens of one issuer by its published keys (OpenID Connect Discovery 1.0). Their subject must be a service account as Kubernetes writes it.
 * Undefined for tokens of others. Rejects while there are no keys: nobody is let in by a key that was never fetched; keys that were good stay in force
 * while new ones cannot be had.
 */
export function createIssuerAuthenticator(
  trusted: TrustedIssuer,
  options: IssuerOptions,
): (token: string) => Promise<TokenReviewResult | undefined> {
  const keysOf = keySource(trusted, options);
  return async (token) => {
    try {
      if (readTokenClaims(token).issuer !== trusted.issuer) return undefined;
      const keys = await keysOf(readTokenKeyId(token));
      const expected = { issuer: trusted.issuer, audiences: trusted.audiences, now: options.now() };
      const { subject = '' } = verifyToken(token, keys, expected);
      const account = serviceAccountOf(subject);
      if (account === undefined)
        return { authenticated: false, reason: `"${subject.slice(0, 200)}" is not a service account` };
      return { authenticated: true, ...account };
    } catch (error) {
      if (error instanceof TokenError) return { authenticated: false, reason: error.message };
      throw error;
    }
  };
}

/** The issuer's keys, those of a moment ago unless a token names another one. */
function keySource(
  { issuer, jwksUri, jwks }: TrustedIssuer,
  { fetchText, now, log }: IssuerOptions,
): (kid: string | undefined) => Promise<VerificationKeys> {
  if (jwks !== '') {
    const fixed = readVerificationKeys(jwks);
    return async () => fixed;
  }
  let good: VerificationKeys | undefined;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;
  let problem = '';
  let running: Promise<void> | undefined;
  const fetchKeys = async (): Promise<void> => {
    triedAt = now();
    try {
      const uri = jwksUri === '' ? await discover(issuer, fetchText) : jwksUri;
      good = readVerificationKeys(await fetchText(uri));
      fetchedAt = now();
      problem = '';
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
      log.warn(
        `the keys of the issuer ${issuer} cannot be fetched${good === undefined ? '' : ', the ones fetched before stay in force'}: ${problem}`,
      );
    }
  };
  return async (kid) => {
    const isUnknown = kid !== undefined && good !== undefined && !good.keys.some((key) => key.kid === kid);
    const isDue =
      good === undefined
        ? now() - triedAt >= RETRY_MS
        : now() - fetchedAt >= (isUnknown ? UNKNOWN_KEY_MS : REFRESH_MS) &&
          now() - triedAt >= (isUnknown ? UNKNOWN_KEY_MS : RETRY_MS);
    if (isDue) {
      running ??= fetchKeys().finally(() => {
        running = undefined;
      });
      // Who can be judged by the keys at hand does not wait for newer ones.
      if (good === undefined || isUnknown) await running;
    } else if (good === undefined) await running;
    if (good === undefined) throw new Error(`there are no keys of the issuer ${issuer}: ${problem}`);
    return good;
  };
}

async function discover(issuer: string, fetchText: IssuerOptions['fetchText']): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  let found: unknown;
  try {
    found = JSON.parse(await fetchText(url));
  } catch (error) {
    throw new Error(`${url}: ${error instanceof Error ? error.message : error}`);
  }
  const { issuer: named, jwks_uri: uri } = (typeof found === 'object' && found !== null ? found : {}) as {
    readonly issuer?: unknown;
    readonly jwks_uri?: unknown;
  };
  // OpenID Connect Discovery 1.0, section 4.3: else one issuer could speak for another.
  if (named !== issuer)
    throw new Error(`${url} is the configuration of another issuer: ${String(named).slice(0, 200)}`);
  if (typeof uri !== 'string') throw new Error(`${url} has no jwks_uri`);
  return uri;
}

/**
 * Judges tokens by the issuers first that istiod knows the keys of, and leaves those of others to the API server. Rejects as these do.
 */
export function withIssuers(
  issuers: readonly ((token: string) => Promise<TokenReviewResult | undefined>)[],
  review: (token: string) => Promise<TokenReviewResult>,
): (token: string) => Promise<TokenReviewResult> {
  if (issuers.length === 0) return review;
  return async (token) => {
    for (const authenticate of issuers) {
      const result = await authenticate(token);
      if (result !== undefined) return result;
    }
    return review(token);
  };
}
