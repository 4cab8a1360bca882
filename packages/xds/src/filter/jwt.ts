import type { HttpFilter, JwtAuthnRemoteJwks, JwtProvider, JwtRequirement } from '@istio-ts/envoy';
import { canonicalKeySet, KeySetError, keySourceName, verifiesNothing } from '@istio-ts/mesh';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { protoDuration } from '../duration.ts';
import { typed } from '../typed.ts';

type RequestAuthentication = ProxyScope['requestAuthentications'][number];
type JwtRule = NonNullable<RequestAuthentication['spec']['jwtRules']>[number];

/** Where the payload of a checked token stands in the metadata of Envoy's filter; conditions and routes look for claims there. */
export const JWT_FILTER = 'envoy.filters.http.jwt_authn';
export const JWT_PAYLOAD = 'payload';

/** Claims whose values are lists separated by spaces (RFC 8693, section 4.2; Istio's default). */
const SPACE_DELIMITED = ['scope', 'permission'];

/** What the keys of a proxy's issuers depend on. */
export interface JwtKeys {
  readonly tokenKeys: ProxyScope['tokenKeys'];
  /** Clusters by which the proxy itself fetches keys, by URI. */
  readonly keyClusters: ReadonlyMap<string, string>;
}

/**
 * The rules of all policies as if they stood in one (RequestAuthentication reference), by issuer: which policy is older makes no difference. Rules that
 * say the same are one.
 */
export function jwtRules(policies: readonly RequestAuthentication[]): readonly JwtRule[] {
  const rules = new Map<string, JwtRule>();
  for (const { spec } of policies) for (const rule of spec.jwtRules ?? []) rules.set(JSON.stringify(rule), rule);
  return [...rules]
    .sort(([a, { issuer: one }], [b, { issuer: other }]) => (one === other ? (a < b ? -1 : 1) : one < other ? -1 : 1))
    .map(([, rule]) => rule);
}

function localKeys(rule: JwtRule, keys: JwtKeys): string {
  if (!rule.jwks) return keys.tokenKeys?.get(keySourceName(rule) ?? '')?.keys ?? verifiesNothing();
  try {
    return canonicalKeySet(rule.jwks, { symmetric: true });
  } catch (error) {
    // A proxy refuses its whole configuration for a set without usable keys; what is wrong is told as a problem of the policy.
    if (error instanceof KeySetError) return verifiesNothing();
    throw error;
  }
}

function remoteKeys(rule: JwtRule, keys: JwtKeys): JwtAuthnRemoteJwks | undefined {
  const uri = keys.tokenKeys?.get(keySourceName(rule) ?? '')?.uri;
  const cluster = uri === undefined ? undefined : keys.keyClusters.get(uri);
  if (rule.jwks || uri === undefined || cluster === undefined) return undefined;
  return {
    httpUri: { uri, cluster, timeout: protoDuration(rule.timeout) ?? '5s' },
    cacheDuration: '300s',
    asyncFetch: {},
    retryPolicy: { numRetries: 3 },
  };
}

function provider(rule: JwtRule, keys: JwtKeys, isGateway: boolean): JwtProvider {
  const { audiences, fromHeaders, fromParams, fromCookies, outputClaimToHeaders, spaceDelimitedClaims } = rule;
  const remote = remoteKeys(rule, keys);
  return {
    issuer: rule.issuer,
    ...(audiences?.length && { audiences }),
    ...(remote ? { remoteJwks: remote } : { localJwks: { inlineString: localKeys(rule, keys) } }),
    forward: rule.forwardOriginalToken === true,
    ...(fromHeaders?.length && {
      fromHeaders: fromHeaders.map(({ name, prefix }) => ({ name, ...(prefix && { valuePrefix: prefix }) })),
    }),
    ...(fromParams?.length && { fromParams }),
    ...(fromCookies?.length && { fromCookies }),
    ...(rule.outputPayloadToHeader && { forwardPayloadHeader: rule.outputPayloadToHeader }),
    ...(outputClaimToHeaders?.length && {
      claimToHeaders: outputClaimToHeaders.map(({ header, claim }) => ({ headerName: header, claimName: claim })),
    }),
    payloadInMetadata: JWT_PAYLOAD,
    normalizePayloadInMetadata: {
      spaceDelimitedClaims: [...new Set([...SPACE_DELIMITED, ...(spaceDelimitedClaims ?? [])])],
    },
    // Routes may ask for claims, which are not known when the first is chosen.
    ...(isGateway && { clearRouteCache: true }),
  };
}

/** The places of a request in which Envoy looks for the tokens of a rule. */
function places({ fromHeaders, fromParams, fromCookies }: JwtRule): readonly string[] {
  const named = [
    ...(fromHeaders ?? []).map(({ name }) => `header ${name.toLowerCase()}`),
    ...(fromParams ?? []).map((name) => `parameter ${name}`),
    ...(fromCookies ?? []).map((name) => `cookie ${name}`),
  ];
  return named.length > 0 ? named : ['header authorization', 'parameter access_token'];
}

/** Rules that look at the same places, directly or by others between them. */
function groups(rules: readonly (readonly [string, JwtRule])[]): readonly (readonly string[])[] {
  let result: { readonly names: readonly string[]; readonly places: ReadonlySet<string> }[] = [];
  for (const [name, rule] of rules) {
    const own = places(rule);
    const meets = result.filter((group) => own.some((place) => group.places.has(place)));
    result = [
      ...result.filter((group) => !meets.includes(group)),
      {
        names: [...meets.flatMap((group) => group.names), name],
        places: new Set([...meets.flatMap((group) => [...group.places]), ...own]),
      },
    ];
  }
  return result.map(({ names }) => names);
}

/**
 * No token at all is admitted, a wrong one never. Issuers whose tokens come in the same place are alternatives; tokens in different places must all be
 * good, so that no forged one reaches the application in the company of a good one.
 */
function requirement(rules: readonly (readonly [string, JwtRule])[]): JwtRequirement {
  const each = groups(rules).map(
    (names): JwtRequirement => ({
      requiresAny: { requirements: [...names.map((providerName) => ({ providerName })), { allowMissing: {} }] },
    }),
  );
  const [only] = each;
  return each.length === 1 && only !== undefined ? only : { requiresAll: { requirements: each } };
}

/** The HTTP filter that checks tokens; none without rules. */
export function jwtFilters(
  policies: readonly RequestAuthentication[],
  keys: JwtKeys,
  isGateway: boolean,
): readonly HttpFilter[] {
  const rules = jwtRules(policies).map((rule, i) => [`origins-${i}`, rule] as const);
  if (rules.length === 0) return [];
  return [
    {
      name: JWT_FILTER,
      typedConfig: typed('envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication', {
        providers: Object.fromEntries(rules.map(([name, rule]) => [name, provider(rule, keys, isGateway)])),
        rules: [{ match: { prefix: '/' }, requires: requirement(rules) }],
        // Browsers send them without any credentials.
        bypassCorsPreflight: true,
      }),
    },
  ];
}
