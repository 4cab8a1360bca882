import { createHash, createPrivateKey, createPublicKey, type KeyObject, randomUUID, sign, verify } from 'node:crypto';
import type { ObjectStore } from '../../store/object-store.ts';
import { asArray, asObject, asString, isObject, type JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import { serviceAccountName, type User } from './user.ts';

export const ISSUER = 'https://kubernetes.default.svc.cluster.local';
export const DEFAULT_AUDIENCE = ISSUER;
/** Milliseconds that a token outlives the deletion time of what it is bound to, as on a real server. */
const DELETION_LEEWAY = 60_000;

export interface BoundObject {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface TokenClaims {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly serviceAccountUid: string;
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  readonly bound?: BoundObject;
  readonly node?: { readonly name: string; readonly uid: string };
}

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Issues and checks the tokens of service accounts (RFC 7519 with RS256; claims as Kubernetes' TokenRequest makes them). */
export class TokenAuthority {
  readonly #key: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #store: ObjectStore;
  readonly #now: () => number;
  readonly keyId: string;

  constructor(keyPem: string, store: ObjectStore, now: () => number) {
    this.#key = createPrivateKey(keyPem);
    this.#publicKey = createPublicKey(this.#key);
    this.#store = store;
    this.#now = now;
    this.keyId = createHash('sha256')
      .update(this.#publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64url');
  }

  issue(claims: TokenClaims): { readonly token: string; readonly expiresAt: number } {
    const now = Math.floor(this.#now() / 1000);
    const exp = now + claims.expirationSeconds;
    const payload = {
      aud: claims.audiences,
      exp,
      iat: now,
      iss: ISSUER,
      jti: randomUUID(),
      'kubernetes.io': {
        namespace: claims.namespace,
        ...(claims.node === undefined ? {} : { node: claims.node }),
        ...(claims.bound === undefined
          ? {}
          : { [claims.bound.kind.toLowerCase()]: { name: claims.bound.name, uid: claims.bound.uid } }),
        serviceaccount: { name: claims.serviceAccount, uid: claims.serviceAccountUid },
      },
      nbf: now,
      sub: serviceAccountName(claims.namespace, claims.serviceAccount),
    };
    const signed = `${base64url({ alg: 'RS256', kid: this.keyId, typ: 'JWT' })}.${base64url(payload)}`;
    const signature = sign('RSA-SHA256', Buffer.from(signed), this.#key).toString('base64url');
    return { token: `${signed}.${signature}`, expiresAt: exp * 1000 };
  }

  /** The user of a token for one of `audiences`, or what is wrong with it. The service account and the bound object must still exist. */
  check(
    token: string,
    audiences: readonly string[],
  ): { readonly user: User; readonly audiences: readonly string[] } | { readonly error: string } {
    if (token.length > 16_384) return { error: 'the token is too long' };
    const [header, body, signature, ...rest] = token.split('.');
    if (header === undefined || body === undefined || signature === undefined || rest.length > 0)
      return { error: 'invalid bearer token' };
    let payload: JsonObject;
    try {
      const parsedHeader: unknown = JSON.parse(Buffer.from(header, 'base64url').toString());
      const parsed: unknown = JSON.parse(Buffer.from(body, 'base64url').toString());
      if (!isObject(parsedHeader) || parsedHeader.alg !== 'RS256' || !isObject(parsed))
        return { error: 'invalid bearer token' };
      payload = parsed;
    } catch {
      return { error: 'invalid bearer token' };
    }
    if (!verify('RSA-SHA256', Buffer.from(`${header}.${body}`), this.#publicKey, Buffer.from(signature, 'base64url'))) {
      return { error: 'invalid bearer token' };
    }
    const now = Math.floor(this.#now() / 1000);
    if (payload.iss !== ISSUER) return { error: 'invalid bearer token' };
    if (typeof payload.exp !== 'number' || payload.exp <= now) return { error: 'service account token has expired' };
    if (typeof payload.nbf === 'number' && payload.nbf > now + 60)
      return { error: 'service account token is not valid yet' };
    const given = asArray(payload.aud).map(String);
    const matching = audiences.filter((audience) => given.includes(audience));
    if (matching.length === 0)
      return {
        error: `token audiences ${JSON.stringify(given)} is invalid for the target audiences ${JSON.stringify(audiences)}`,
      };
    return this.#subject(asObject(payload['kubernetes.io']), asString(payload.jti), matching);
  }

  #subject(
    claims: JsonObject,
    id: string,
    audiences: readonly string[],
  ): { readonly user: User; readonly audiences: readonly string[] } | { readonly error: string } {
    const namespace = asString(claims.namespace);
    const account = asObject(claims.serviceaccount);
    const name = asString(account.name);
    const stored = this.#store.get('/serviceaccounts', namespace, name);
    if (stored === undefined || stored.metadata.uid !== account.uid)
      return { error: 'service account has been invalidated' };
    const extra: Record<string, string[]> = { 'authentication.kubernetes.io/credential-id': [`JTI=${id}`] };
    if (this.#goneLong(stored)) return { error: 'service account has been deleted' };
    const secret = claims.secret;
    if (isObject(secret) && !this.#stillBound(this.#store.get('/secrets', namespace, asString(secret.name)), secret))
      return { error: 'service account token has been invalidated' };
    const pod = claims.pod;
    if (isObject(pod)) {
      const podName = asString(pod.name);
      if (!this.#stillBound(this.#store.get('/pods', namespace, podName), pod))
        return { error: 'service account token has been invalidated' };
      extra['authentication.kubernetes.io/pod-name'] = [podName];
      extra['authentication.kubernetes.io/pod-uid'] = [asString(pod.uid)];
    }
    const node = claims.node;
    if (isObject(node)) {
      // A pod's token names its node for information only; one that is bound to the node alone ends with it.
      if (!isObject(pod) && !this.#stillBound(this.#store.get('/nodes', '', asString(node.name)), node))
        return { error: 'service account token has been invalidated' };
      extra['authentication.kubernetes.io/node-name'] = [asString(node.name)];
      extra['authentication.kubernetes.io/node-uid'] = [asString(node.uid)];
    }
    return {
      user: {
        name: serviceAccountName(namespace, name),
        uid: asString(account.uid),
        groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
        extra,
      },
      audiences,
    };
  }

  #stillBound(found: ApiObject | undefined, claim: JsonObject): boolean {
    return found !== undefined && found.metadata.uid === claim.uid && !this.#goneLong(found);
  }

  /** Objects that finalizers hold do not keep their tokens alive for ever. */
  #goneLong(object: ApiObject): boolean {
    const { deletionTimestamp } = object.metadata;
    return deletionTimestamp !== undefined && Date.parse(deletionTimestamp) + DELETION_LEEWAY < this.#now();
  }

  /** OpenID provider metadata. */
  openIdConfiguration(): object {
    return {
      issuer: ISSUER,
      jwks_uri: `${ISSUER}/openid/v1/jwks`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    };
  }

  jwks(): object {
    const jwk = this.#publicKey.export({ format: 'jwk' });
    return { keys: [{ use: 'sig', kty: jwk.kty, kid: this.keyId, alg: 'RS256', n: jwk.n, e: jwk.e }] };
  }
}
