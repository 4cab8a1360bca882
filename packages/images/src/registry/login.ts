import { type Challenge, challenges } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import { exchange, type Network, refusal, textOf } from './network.ts';
import { RegistryError } from './registry-error.ts';
import { mergeScopes, type Scope } from './scope.ts';

/** How this program calls itself to token servers, which keep it for their records. */
const CLIENT = 'istio-ts';

/** Values of the `Authorization` header for one registry, by what they are for. */
export interface Login {
  /** What goes with a request that needs these scopes; undefined as long as the registry has asked for nothing. Raises RegistryError. */
  authorization(scopes: readonly Scope[]): Promise<string | undefined>;
  /** A new one, out of the `WWW-Authenticate` header with which the registry refused the last. Raises RegistryError. */
  renewed(challenge: string, scopes: readonly Scope[]): Promise<string>;
}

/** Logs in to the registry at `address` as it asks for: with a password, or with a token from the server that it names. */
export function registryLogin(address: string, credentials: Credentials | undefined, network: Network): Login {
  const registry = new URL(address);
  const values = new Map<string, string>();
  /** The latest one: with it a token for other scopes can be had before the registry refuses. */
  let known: Challenge | undefined;

  const answerTo = async (challenge: Challenge, scopes: readonly Scope[]): Promise<string> => {
    if (challenge.scheme === 'bearer')
      return `Bearer ${await token(registry, challenge, scopes, credentials, network)}`;
    if (credentials === undefined)
      throw new RegistryError(`${registry.host} asks for a login: ${loginHint(registry)}`, 401);
    switch (credentials.kind) {
      case 'password':
        return basic(credentials.user, credentials.password);
      case 'identityToken':
        throw new RegistryError(
          `${registry.host} asks for a user and a password, but the login that is kept for it is an identity token: ${loginHint(registry)}`,
          401,
        );
    }
  };
  const obtain = async (challenge: Challenge, scopes: readonly Scope[]): Promise<string> => {
    const value = await answerTo(challenge, scopes);
    values.set(scopes.join(' '), value);
    return value;
  };
  return {
    authorization: async (scopes) =>
      values.get(scopes.join(' ')) ?? (known === undefined ? undefined : await obtain(known, scopes)),
    renewed: (header, scopes) => {
      const offered = challenges(header);
      const chosen =
        offered.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm) ??
        offered.find(({ scheme }) => scheme === 'basic');
      if (chosen === undefined)
        throw new RegistryError(
          offered.length === 0
            ? `${registry.host} asks for a login without saying for which kind`
            : `${registry.host} asks for a kind of login this program does not have: ${offered.map(({ scheme }) => scheme).join(', ')}`,
          401,
        );
      // What this request needed says nothing about the next.
      known = { ...chosen, parameters: { ...chosen.parameters, scope: '' } };
      return obtain(chosen, scopes);
    },
  };
}

/** How to log in to a registry, by the name that users have for it. */
export const loginHint = ({ host }: URL): string =>
  `docker login ${host === 'registry-1.docker.io' ? 'docker.io' : host}`;

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

/**
 * A token from the server that a challenge names: with a password, or without a login, by GET ("Docker Registry Token Authentication", requesting a token);
 * with an identity token by POST (ibid., OAuth2).
 */
async function token(
  registry: URL,
  { parameters }: Challenge,
  needed: readonly Scope[],
  credentials: Credentials | undefined,
  network: Network,
): Promise<string> {
  const url = tokenServer(registry, parameters.realm ?? '');
  const { service, scope } = parameters;
  const scopes = mergeScopes(needed, scope?.split(/\s+/) ?? []);
  const what = `gives no token for ${scopes.join(' ')}`;
  let answer: Response;
  if (credentials?.kind === 'identityToken') {
    answer = await exchange(network, what, url.href, {
      method: 'POST',
      // Another server has no business with the identity token.
      redirect: 'manual',
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        service: service ?? '',
        client_id: CLIENT,
        scope: scopes.join(' '),
        refresh_token: credentials.token,
      }),
    });
  } else {
    if (service !== undefined) url.searchParams.set('service', service);
    for (const each of scopes) url.searchParams.append('scope', each);
    answer = await exchange(network, what, url.href, {
      headers: credentials === undefined ? {} : { authorization: basic(credentials.user, credentials.password) },
    });
  }
  if (!answer.ok) throw await refusal(what, url.href, answer);
  const text = await textOf(url.href, answer);
  const given = tokenIn(text);
  if (given === undefined)
    throw new RegistryError(`${url.host} ${what}: its answer is not JSON with a token`, answer.status);
  return given;
}

function tokenServer(registry: URL, realm: string): URL {
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new RegistryError(`${registry.host} names a token server that is not an address: "${realm}"`, 401);
  if (registry.protocol === 'https:' && url.protocol !== 'https:')
    throw new RegistryError(
      `${registry.host} names ${url.origin} as its token server, to which the login would go without TLS`,
      401,
    );
  return url;
}

/** The token of an answer, if it can stand in a header. */
function tokenIn(text: string): string | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof answer !== 'object' || answer === null) return undefined;
  const { token: own, access_token: other } = answer as { readonly token?: unknown; readonly access_token?: unknown };
  const given = own || other;
  return typeof given === 'string' && /^[\x21-\x7e]+$/.test(given) ? given : undefined;
}
