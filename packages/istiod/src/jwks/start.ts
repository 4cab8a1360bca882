import { readFileSync } from 'node:fs';
import type { Mesh, MeshSources } from '@istio-ts/mesh';
import type { MetricsRegistry } from '@istio-ts/metrics';
import { fetchDocument } from '@istio-ts/security/fetch/fetch';
import type { Logger } from '../log.ts';
import { atMost } from './at-most.ts';
import { fetchRemedy, type TokenKeySettings } from './settings.ts';
import { keepTokenKeys } from './token-keys.ts';

/** Where the chart mounts `jwksResolverExtraRootCA`. */
const EXTRA_ROOTS = '/cacerts/extra.pem';

/** What many policies, or slow servers that they name, can make istiod do at a time. */
const MOST_FETCHES = 32;
const LONGEST_MS = 30_000;

function extraRoots(): string | undefined {
  try {
    return readFileSync(EXTRA_ROOTS, 'utf8');
  } catch {
    return undefined;
  }
}

/** Fetches the keys that a mesh's policies want, into its sources. */
export function startTokenKeys(
  mesh: Pick<Mesh, 'wantedKeys'>,
  sources: Pick<MeshSources, 'fetchedKeys'>,
  settings: TokenKeySettings,
  { metrics, log }: { readonly metrics: MetricsRegistry; readonly log: Logger },
): ReturnType<typeof keepTokenKeys> {
  const succeeded = metrics.counter(
    'pilot_jwks_resolver_network_fetch_success_total',
    'Documents that were fetched for keys of tokens.',
  );
  const failed = metrics.counter(
    'pilot_jwks_resolver_network_fetch_fail_total',
    'Documents for keys of tokens that could not be fetched.',
  );
  metrics.gauge(
    'istiod_jwks_missing',
    'Places of keys of tokens from which none were ever got: proxies refuse all tokens that need them.',
    () =>
      [...sources.fetchedKeys.values()].filter(({ keys, uri, problem }) => problem !== undefined && !keys && !uri)
        .length,
  );
  if (settings.insecure) log.warn('JWKS_RESOLVER_INSECURE_SKIP_VERIFY: whoever sits between can give keys to istiod');
  const { forbids, insecure, proxies } = settings;
  const policy = { forbids, remedy: fetchRemedy, insecure, extraRoots, proxies };
  return keepTokenKeys(mesh.wantedKeys, sources.fetchedKeys, {
    fetch: atMost(MOST_FETCHES, (url: string, timeoutMs: number) =>
      fetchDocument(url, Math.min(timeoutMs, LONGEST_MS), policy),
    ),
    after: (ms, work) => {
      const timer = setTimeout(work, ms).unref();
      return () => clearTimeout(timer);
    },
    refreshMs: settings.refreshMs,
    random: Math.random,
    onFetch: (good) => (good ? succeeded : failed).add(),
    log,
  });
}
