import { createHash } from 'node:crypto';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import {
  isTokenExpired,
  readTokenClaims,
  readTokenReview,
  TokenError,
  tokenReview,
  type TokenReviewResult,
} from '@istio-ts/security';

const cacheMs = 60_000;
const maxCached = 10_000;
/** Questions to the API server at a time: strangers may show as many tokens as they like, the API server must not pay for it. */
const maxAsked = 64;

/** Every replica is busy with other tokens; trying again helps. */
export class TooManyTokensError extends Error {
  constructor() {
    super(`more than ${maxAsked} tokens are being checked`);
    this.name = 'TooManyTokensError';
  }
}

/**
 * Asks the API server whose token this is (TokenReview with the audience `istio-ca`). An accepted token is remembered for a minute by its hash, so that
 * a proxy that reconnects costs no call; a refused one is never remembered. What is no JWT or has expired is refused without asking, and the same
 * token is asked about once at a time. Rejects with {@link TooManyTokensError}, or with the client's error when the API server cannot be asked.
 */
export function createTokenAuthenticator(
  client: KubeClient,
  audiences: readonly string[],
  now: () => number,
): (token: string) => Promise<TokenReviewResult> {
  const accepted = new Map<string, { readonly result: TokenReviewResult; readonly until: number }>();
  const asked = new Map<string, Promise<TokenReviewResult>>();
  const ask = async (id: string, review: KubeObject): Promise<TokenReviewResult> => {
    const result = readTokenReview(await client.create(kubernetesTypes.TokenReview, review), audiences);
    if (result.authenticated) {
      if (accepted.size >= maxCached) accepted.delete(accepted.keys().next().value ?? '');
      accepted.set(id, { result, until: now() + cacheMs });
    }
    return result;
  };
  return async (token) => {
    const id = createHash('sha256').update(token).digest('base64');
    const cached = accepted.get(id);
    if (cached && cached.until > now()) return cached.result;
    accepted.delete(id);
    let review: KubeObject;
    try {
      if (isTokenExpired(readTokenClaims(token), now()))
        return { authenticated: false, reason: 'the token has expired' };
      review = { ...tokenReview(token, audiences), metadata: {} };
    } catch (error) {
      if (error instanceof TokenError) return { authenticated: false, reason: error.message };
      throw error;
    }
    const running = asked.get(id);
    if (running) return running;
    if (asked.size >= maxAsked) throw new TooManyTokensError();
    const answer = ask(id, review).finally(() => asked.delete(id));
    asked.set(id, answer);
    return answer;
  };
}
