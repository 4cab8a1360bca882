import type { KeyFetching } from '@istio-ts/mesh';
import { AddressRangeError, forbiddenAddresses } from '@istio-ts/security/fetch/addresses';
import { type ChooseProxy, ProxySettingError, proxiesOf } from '@istio-ts/security/fetch/proxies';
import { type Environment, variables } from '../environment.ts';
import { durationMs, SettingsError } from '../setting-values.ts';

/** How keys of tokens are fetched. */
export interface TokenKeySettings {
  /** PILOT_JWT_ENABLE_REMOTE_JWKS */
  readonly fetching: KeyFetching;
  /** PILOT_JWT_PUB_KEY_REFRESH_INTERVAL */
  readonly refreshMs: number;
  /** JWKS_RESOLVER_INSECURE_SKIP_VERIFY */
  readonly insecure: boolean;
  /** Addresses from which nothing is fetched: those of the node, BLOCKED_CIDRS_IN_JWKS_URIS, without ISTIO_TS_ALLOWED_CIDRS_IN_JWKS_URIS. */
  readonly forbids: (address: string) => boolean;
  /** HTTP_PROXY, HTTPS_PROXY, NO_PROXY */
  readonly proxies: ChooseProxy;
}

/** What may have a document fetched that is refused because of its address. */
export const fetchRemedy = 'ISTIO_TS_ALLOWED_CIDRS_IN_JWKS_URIS of istiod may allow it';

const keyFetchers: ReadonlyMap<string, KeyFetching> = new Map([
  ['istiod', 'istiod'],
  ['false', 'istiod'],
  ['hybrid', 'hybrid'],
  ['true', 'hybrid'],
  ['envoy', 'envoy'],
]);

/** Reads how keys of tokens are fetched. Raises {@link SettingsError}. */
export function tokenKeySettings(env: Environment): TokenKeySettings {
  const mode = (env.PILOT_JWT_ENABLE_REMOTE_JWKS || 'false').toLowerCase();
  const fetching = keyFetchers.get(mode);
  if (fetching === undefined)
    throw new SettingsError(`PILOT_JWT_ENABLE_REMOTE_JWKS: '${mode}' is none of ${[...keyFetchers.keys()].join(', ')}`);
  const refreshMs = durationMs(
    'PILOT_JWT_PUB_KEY_REFRESH_INTERVAL',
    env.PILOT_JWT_PUB_KEY_REFRESH_INTERVAL || variables.PILOT_JWT_PUB_KEY_REFRESH_INTERVAL.default,
  );
  if (refreshMs < 1000) throw new SettingsError('PILOT_JWT_PUB_KEY_REFRESH_INTERVAL: the time is less than a second');
  try {
    return {
      fetching,
      refreshMs,
      insecure: env.JWKS_RESOLVER_INSECURE_SKIP_VERIFY === 'true',
      forbids: forbiddenAddresses(env.BLOCKED_CIDRS_IN_JWKS_URIS ?? '', env.ISTIO_TS_ALLOWED_CIDRS_IN_JWKS_URIS ?? ''),
      // All of it goes along, because the three are known in small letters, too.
      proxies: proxiesOf({
        ...env,
        HTTP_PROXY: env.HTTP_PROXY,
        HTTPS_PROXY: env.HTTPS_PROXY,
        NO_PROXY: env.NO_PROXY,
      }),
    };
  } catch (error) {
    if (error instanceof ProxySettingError) throw new SettingsError(error.message);
    if (!(error instanceof AddressRangeError)) throw error;
    throw new SettingsError(`BLOCKED_CIDRS_IN_JWKS_URIS or ISTIO_TS_ALLOWED_CIDRS_IN_JWKS_URIS: ${error.message}`);
  }
}
