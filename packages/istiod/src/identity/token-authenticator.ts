import { createHash } from 'node:crypto';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import { readTokenReview, TokenError, tokenReview, type TokenReviewResult } from '@istio-ts/security';

const cacheMs = 60_000;
const maxCached = 10_000;

/**
 * Asks the API server whose token this is (TokenReview with the audience `istio-ca`). An accepted token is remembered for a minute by its hash, so that
 * a proxy that reconnects costs no call; a refused one is never remembered.
 */
export function createTokenAuthenticator(
  client: KubeClient,
  audiences: readonly string[],
  now: () => number,
): (token: string) => Promise<TokenReviewResult> {
  const accepted = new Map<string, { readonly result: TokenReviewResult; readonly until: number }>();
  return async (token) => {
    const id = createHash('sha256').update(token).digest('base64');
    const cached = accepted.get(id);
    if (cached && cached.until > now()) return cached.result;
    accepted.delete(id);
    let review: KubeObject;
    try {
      review = { ...tokenReview(token, audiences), metadata: {} };
    } catch (error) {
      if (error instanceof TokenError) return { authenticated: false, reason: error.message };
      throw error;
    }
    const result = readTokenReview(await client.create(kubernetesTypes.TokenReview, review), audiences);
    if (result.authenticated) {
      if (accepted.size >= maxCached) accepted.delete(accepted.keys().next().value ?? '');
      accepted.set(id, { result, until: now() + cacheMs });
    }
    return result;
  };
}
