import type { Mesh, MeshSources } from '@istio-ts/mesh';
import type { MetricsRegistry } from '@istio-ts/metrics';
import { fetchDocument } from '@istio-ts/security/fetch/fetch';
import { fetchRemedy, type TokenKeySettings } from '../jwks/settings.ts';
import type { Logger } from '../log.ts';
import { keepTrustBundles } from './trust-bundles.ts';

/** Keeps the trust bundles of a mesh in its sources, in step with the CA's anchors and the mesh configuration. */
export function startTrustBundles(
  mesh: Pick<Mesh, 'config'>,
  sources: Pick<MeshSources, 'trustBundles'>,
  options: {
    /** Anchors of the mesh's own authority, PEM, and its revocation list. */
    readonly own: () => { readonly root: string; readonly crl: string | undefined };
    /** Addresses that nothing is fetched from, and the operator's proxies. */
    readonly settings: Pick<TokenKeySettings, 'forbids' | 'proxies'>;
    readonly metrics: MetricsRegistry;
    readonly log: Logger;
  },
): ReturnType<typeof keepTrustBundles> {
  const { own, settings, metrics, log } = options;
  const fetches = metrics.counter(
    'istiod_spiffe_bundle_fetches_total',
    'Bundles of trust domains that were asked for.',
  );
  // Publishers of bundles have certificates of public authorities (SPIFFE Trust Domain and Bundle, https_web); the operator names them, proxies never do.
  const policy = { forbids: settings.forbids, remedy: fetchRemedy, proxies: settings.proxies };
  const bundles = keepTrustBundles({
    meshConfig: () => mesh.config.current,
    own,
    fetch: (url, timeoutMs) => fetchDocument(url, timeoutMs, policy),
    onChange: (changed) => sources.trustBundles.set(changed),
    onFetch: (good) => fetches.add({ outcome: good ? 'success' : 'failure' }),
    after: (ms, work) => {
      const timer = setTimeout(work, ms).unref();
      return () => clearTimeout(timer);
    },
    log,
  });
  const stop = mesh.config.subscribe(bundles.refresh);
  bundles.refresh();
  return {
    ...bundles,
    close: () => {
      stop();
      bundles.close();
    },
  };
}
