/** Service account tokens: what the agent reads of its own (to know when to look for a new one) and how istiod has the API server judge a client's. */

/** Thrown for a text that is no JWT. */
export class TokenError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TokenError';
  }
}

/** Claims of a service account token that somebody here looks at. Times in seconds since 1970. */
export interface TokenClaims {
  readonly issuer?: string;
  readonly subject?: string;
  readonly audiences: readonly string[];
  readonly expiresAt?: number;
  readonly issuedAt?: number;
  readonly notBefore?: number;
}

const MAX_TOKEN = 16 * 1024;

/** Reads the claims of a JWT. Its signature is NOT verified: use it for nothing but one's own token. */
export function readTokenClaims(token: string): TokenClaims {
  if (token.length > MAX_TOKEN)
    throw new TokenError(`the token has ${token.length} characters, at most ${MAX_TOKEN} are accepted`);
  const parts = token.trim().split('.');
  const payload = parts[1];
  if (parts.length !== 3 || payload === undefined)
    throw new TokenError('the token is no JWT: it must have three parts with dots between');
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  } catch {
    throw new TokenError('the token is no JWT: its second part is no JSON');
  }
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims))
    throw new TokenError('the token is no JWT: its claims are no object');
  const { iss, sub, aud, exp, iat, nbf } = claims as Record<string, unknown>;
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  const seconds = (value: unknown): number | undefined =>
    typeof value === 'number' && Number.isFinite(value) ? value : undefined;
  return {
    issuer: text(iss),
    subject: text(sub),
    audiences: (Array.isArray(aud) ? aud : [aud]).filter((entry): entry is string => typeof entry === 'string'),
    expiresAt: seconds(exp),
    issuedAt: seconds(iat),
    notBefore: seconds(nbf),
  };
}

/** True once the token is past its end; a token without one never expires. `now` in milliseconds. */
export function isTokenExpired(claims: TokenClaims, now: number): boolean {
  return claims.expiresAt !== undefined && now / 1000 >= claims.expiresAt;
}

/** Body of `POST /apis/authentication.k8s.io/v1/tokenreviews`. */
export interface TokenReviewRequest {
  readonly apiVersion: 'authentication.k8s.io/v1';
  readonly kind: 'TokenReview';
  readonly spec: { readonly token: string; readonly audiences?: readonly string[] };
}

export function tokenReview(token: string, audiences: readonly string[]): TokenReviewRequest {
  if (token.length > MAX_TOKEN)
    throw new TokenError(`the token has ${token.length} characters, at most ${MAX_TOKEN} are accepted`);
  return {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: audiences.length === 0 ? { token } : { token, audiences },
  };
}

/** Who a token belongs to, or why it was refused. */
export type TokenReviewResult =
  | {
      readonly authenticated: true;
      readonly namespace: string;
      readonly serviceAccount: string;
      /** From bound tokens only. */
      readonly podName?: string;
      readonly podUid?: string;
    }
  | { readonly authenticated: false; readonly reason: string };

/** The service account that a subject names (`system:serviceaccount:NAMESPACE:NAME`); undefined for any other. */
export function serviceAccountOf(
  subject: string,
): { readonly namespace: string; readonly serviceAccount: string } | undefined {
  const [system, kind, namespace, serviceAccount, ...rest] = subject.split(':');
  if (system !== 'system' || kind !== 'serviceaccount' || !namespace || !serviceAccount || rest.length > 0)
    return undefined;
  return { namespace, serviceAccount };
}

/** Reads the API server's answer. A user that is no service account is refused. */
export function readTokenReview(response: unknown, audiences: readonly string[]): TokenReviewResult {
  const status = record(record(response).status);
  const refuse = (reason: string): TokenReviewResult => ({ authenticated: false, reason });
  if (typeof status.error === 'string' && status.error !== '')
    return refuse(`the API server refused the token: ${status.error}`);
  if (status.authenticated !== true) return refuse('the API server did not accept the token');
  if (audiences.length > 0) {
    const granted = Array.isArray(status.audiences) ? status.audiences : [];
    if (!granted.some((audience) => audiences.includes(audience)))
      return refuse(`the token is not meant for any of the audiences ${audiences.join(', ')}`);
  }
  const user = record(status.user);
  const name = typeof user.username === 'string' ? user.username : '';
  const account = serviceAccountOf(name);
  if (account === undefined) return refuse(`"${name}" is not a service account`);
  const extra = record(user.extra);
  const first = (key: string): string | undefined => {
    const value = extra[key];
    return Array.isArray(value) && typeof value[0] === 'string' ? value[0] : undefined;
  };
  return {
    authenticated: true,
    ...account,
    podName: first('authentication.kubernetes.io/pod-name'),
    podUid: first('authentication.kubernetes.io/pod-uid'),
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
