import type { JWTRule, RequestAuthenticationSpec } from '@istio-ts/api';
import { tryParseDuration } from '@istio-ts/api/duration';
import { type Cell, type Collection, type Fetch, index, map, mapMany, ordered } from '@istio-ts/collections';
import { canonicalKeySet, KeySetError } from './key-set.ts';
import type { Config, Service, TokenKeys } from './model.ts';
import { compareText } from './order.ts';
import type { MeshSources, Problem } from './sources.ts';

/** Who fetches keys from a `jwksUri` (PILOT_JWT_ENABLE_REMOTE_JWKS): istiod, proxies where the server is a service of the mesh, or always proxies. */
export type KeyFetching = 'istiod' | 'hybrid' | 'envoy';

/** Keys that istiod is to fetch. */
export interface WantedKeys {
  /** What the result is called: {@link keySourceName}. */
  readonly name: string;
  /** Where the keys are, or the issuer whose OpenID configuration tells it. */
  readonly from: { readonly uri: string } | { readonly issuer: string };
  /** False where proxies fetch the keys themselves and only want to know from where. */
  readonly keys: boolean;
  /** Time for one attempt; the longest that any rule gives. */
  readonly timeoutMs: number;
}

/** What came of fetching keys. */
export interface FetchedKeys {
  /** The last that were good, as {@link canonicalKeySet} writes them. */
  readonly keys?: string;
  /** Where they are, as the issuer's OpenID configuration tells it. */
  readonly uri?: string;
  /** Why there are no keys, or no newer ones. */
  readonly problem?: string;
}

/** Name of where a rule's keys come from; undefined where they stand in it. */
export function keySourceName(rule: JWTRule): string | undefined {
  if (rule.jwks) return undefined;
  return rule.jwksUri ? rule.jwksUri : `issuer ${rule.issuer}`;
}

/** The host and port of a URI. Undefined for what is no URI. */
export function serverOf(
  uri: string,
): { readonly host: string; readonly port: number; readonly secure: boolean } | undefined {
  if (!URL.canParse(uri)) return undefined;
  const url = new URL(uri);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return undefined;
  const secure = url.protocol === 'https:';
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) || (secure ? 443 : 80), secure };
}

/** The host name of a service by which a host of a URI goes in the mesh: `NAME.NAMESPACE.svc` is short for a service of Kubernetes. */
export const serviceHostOf = (host: string, domainSuffix: string): string =>
  host.endsWith('.svc') ? `${host}.${domainSuffix}` : host;

export interface TokenKeySettings {
  readonly fetching: KeyFetching;
  readonly domainSuffix: string;
  /** Whether nothing is fetched from an IP address. */
  readonly forbids: (address: string) => boolean;
}

export interface TokenKeyCollections {
  /** Keys of the rules that do not have them, by {@link keySourceName}. */
  readonly tokenKeys: Collection<TokenKeys>;
  readonly wantedKeys: Cell<readonly WantedKeys[]>;
  /** Rules without keys, by `RequestAuthentication/namespace/name`. */
  readonly problems: Collection<readonly Problem[]>;
}

/** Time to fetch keys where a rule gives none (JWTRule reference, `timeout`). */
const defaultTimeoutMs = 5000;

/** Derives from the RequestAuthentications which keys have to be fetched and what proxies get of them. */
export function createTokenKeys(
  sources: MeshSources,
  services: Collection<Service>,
  { fetching, domainSuffix, forbids }: TokenKeySettings,
): TokenKeyCollections {
  const policies = sources.configs('RequestAuthentication');
  const named = mapMany(
    policies,
    ({ spec }, key) =>
      (spec.jwtRules ?? []).flatMap((rule, i) => {
        const name = keySourceName(rule);
        return name === undefined ? [] : [[`${key} ${i}`, { name, rule }] as const];
      }),
    { name: 'rules whose keys are elsewhere' },
  );
  const byName = index(named, ({ name }) => [name], { name: 'rules whose keys are elsewhere by place' });
  const byHost =
    fetching === 'hybrid' ? index(services, ({ hostname }) => [hostname], { name: 'services by host' }) : undefined;
  const proxiesFetch = (uri: string, fetch: Fetch): boolean => {
    const server = serverOf(uri);
    if (server === undefined || fetching === 'istiod' || forbids(server.host)) return false;
    return byHost === undefined || fetch.get(byHost, serviceHostOf(server.host, domainSuffix)) !== undefined;
  };
  const uriOf = (name: string, fetch: Fetch): string | undefined =>
    name.startsWith('issuer ') ? fetch.get(sources.fetchedKeys, name)?.uri : name;
  const tokenKeys = map(
    byName,
    (_rules, name, fetch): TokenKeys => {
      const uri = uriOf(name, fetch);
      if (uri !== undefined && proxiesFetch(uri, fetch)) return { uri };
      const keys = fetch.get(sources.fetchedKeys, name)?.keys;
      return keys === undefined ? {} : { keys };
    },
    { name: 'keys of tokens' },
  );
  const wanted = map(
    byName,
    (rules, name, fetch): WantedKeys | undefined => {
      const [first] = rules;
      if (first === undefined) return undefined;
      const isIssuer = name.startsWith('issuer ');
      if (!isIssuer && proxiesFetch(name, fetch)) return undefined;
      return {
        name,
        from: isIssuer ? { issuer: first.rule.issuer } : { uri: name },
        keys: fetching !== 'envoy' || !isIssuer,
        timeoutMs: Math.max(...rules.map(({ rule }) => tryParseDuration(rule.timeout ?? '') || defaultTimeoutMs)),
      };
    },
    { name: 'keys to fetch' },
  );
  const problems = map(
    policies,
    (policy, _key, fetch) => {
      const found = (policy.spec.jwtRules ?? []).flatMap((rule, i): readonly Problem[] => {
        const name = keySourceName(rule);
        if (name === undefined) return inlineProblem(policy, rule, i);
        const result = fetch.get(sources.fetchedKeys, name);
        if (result?.problem === undefined || fetch.get(tokenKeys, name)?.uri !== undefined) return [];
        return [
          {
            origin: policy.origin,
            path: `spec.jwtRules[${i}].${rule.jwksUri ? 'jwksUri' : 'issuer'}`,
            message:
              result.keys === undefined
                ? `there are no keys, so all tokens of ${rule.issuer} are refused: ${result.problem}`
                : `the keys of ${rule.issuer} are those fetched before: ${result.problem}`,
            lastGoodStays: result.keys !== undefined,
            onlyPart: true,
          },
        ];
      });
      return found.length > 0 ? found : undefined;
    },
    { name: 'rules without keys' },
  );
  return {
    tokenKeys,
    wantedKeys: ordered(wanted, (a, b) => compareText(a.name, b.name), { name: 'keys to fetch by name' }),
    problems: mapMany(problems, (list, key) => [[`RequestAuthentication/${key}`, list] as const], {
      name: 'rules without keys by policy',
    }),
  };
}

function inlineProblem(policy: Config<RequestAuthenticationSpec>, rule: JWTRule, index: number): readonly Problem[] {
  try {
    canonicalKeySet(rule.jwks ?? '', { symmetric: true });
    return [];
  } catch (error) {
    if (!(error instanceof KeySetError)) throw error;
    return [
      {
        origin: policy.origin,
        path: `spec.jwtRules[${index}].jwks`,
        message: `there are no keys, so all tokens of ${rule.issuer} are refused: ${error.message}`,
        lastGoodStays: false,
        onlyPart: true,
      },
    ];
  }
}

/** The keys that the rules of these policies want, by {@link keySourceName}. */
export function keysFor(
  policies: readonly Config<RequestAuthenticationSpec>[],
  keysOf: (name: string) => TokenKeys | undefined,
): ReadonlyMap<string, TokenKeys> {
  const result = new Map<string, TokenKeys>();
  for (const { spec } of policies)
    for (const rule of spec.jwtRules ?? []) {
      const name = keySourceName(rule);
      const keys = name === undefined ? undefined : keysOf(name);
      if (name !== undefined && keys !== undefined) result.set(name, keys);
    }
  return result;
}
