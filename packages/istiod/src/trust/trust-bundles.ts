import type { MeshConfig } from '@istio-ts/api';
import { namesAuthorities, type TrustBundles, trustDomainOf, trustedAuthorities } from '@istio-ts/mesh';
import { mergeBundles } from '@istio-ts/security';
import type { Logger } from '../log.ts';
import { parseSpiffeBundle } from './spiffe-bundle.ts';

const FETCH_MS = 10_000;
/** How often a bundle is asked for that gives no time of its own, and the bounds for those that do (SPIFFE Trust Domain and Bundle, 4.1.3). */
const REFRESH_MS = 300_000;
const SHORTEST_REFRESH_MS = 10_000;
const LONGEST_REFRESH_MS = 24 * 3_600_000;
const FIRST_RETRY_MS = 1000;

export interface TrustBundlesOptions {
  readonly meshConfig: () => MeshConfig;
  /** The CA's own anchors, PEM, and its revocation list. */
  readonly own: () => { readonly root: string; readonly crl: string | undefined };
  /** Fetches a document; raises an error that says why not. */
  readonly fetch: (url: string, timeoutMs: number) => Promise<string>;
  /** Hears of new bundles; never of equal ones. */
  readonly onChange: (bundles: TrustBundles) => void;
  readonly onFetch: (good: boolean) => void;
  /** `setTimeout`; the result cancels. */
  readonly after: (ms: number, work: () => void) => () => void;
  readonly log: Logger;
}

interface Source {
  /** Of the last good answer, PEM. */
  pem: string;
  failures: number;
  cancel: () => void;
}

/**
 * Keeps what proxies trust by trust domain: the CA's own anchors, and those that the mesh configuration gives as PEM or as the URL of a SPIFFE bundle,
 * which is asked for again and again; while it does not answer, or with nonsense, its last good anchors stay.
 */
export function keepTrustBundles(options: TrustBundlesOptions): {
  /** Looks at the mesh configuration and the CA's anchors anew. */
  readonly refresh: () => void;
  /** Anchors of the mesh's own trust domain, PEM: those that istiod's clients show certificates of. */
  readonly own: () => string;
  readonly close: () => void;
} {
  const { log } = options;
  const sources = new Map<string, Source>();
  let published = '';
  let refused = '';

  const fetchOnce = async (url: string, source: Source): Promise<void> => {
    let wait: number;
    try {
      const { pem, refreshMs = REFRESH_MS } = parseSpiffeBundle(await options.fetch(url, FETCH_MS));
      if (source.failures > 0) log.info(`the SPIFFE bundle of ${url} can be had again`);
      source.failures = 0;
      source.pem = pem;
      wait = Math.min(LONGEST_REFRESH_MS, Math.max(SHORTEST_REFRESH_MS, refreshMs));
      options.onFetch(true);
    } catch (error) {
      options.onFetch(false);
      if (source.failures++ === 0)
        log.warn(
          `the SPIFFE bundle of ${url} cannot be had, ${source.pem === '' ? 'nothing of it is trusted' : 'its last good anchors stay'}: ${error instanceof Error ? error.message : error}`,
        );
      wait = Math.min(REFRESH_MS, FIRST_RETRY_MS * 2 ** Math.min(source.failures - 1, 10));
    }
    if (sources.get(url) !== source) return;
    source.cancel = options.after(wait, () => void fetchOnce(url, source));
    publish();
  };

  const bundles = (): TrustBundles => {
    const config = options.meshConfig();
    const { root, crl } = options.own();
    const trustDomain = trustDomainOf(config);
    const ownDomains = [trustDomain, ...(config.trustDomainAliases ?? [])];
    const parts = new Map<string, string[]>(ownDomains.map((domain) => [domain, [root]]));
    const problems: string[] = [];
    const add = (domains: readonly string[], pem: string, index: number): void => {
      try {
        if (pem !== '' && mergeBundles([pem]) === '') throw new Error('no certificate found');
      } catch (error) {
        problems.push(`caCertificates[${index}].pem: ${error instanceof Error ? error.message : error}`);
        return;
      }
      for (const domain of domains) parts.set(domain, [...(parts.get(domain) ?? []), pem]);
    };
    (config.caCertificates ?? []).forEach((entry, index) => {
      const { pem = '', spiffeBundleUrl = '', trustDomains = [], certSigners = [] } = entry;
      // Without domains an authority, or a signer of Kubernetes, vouches for the mesh's own.
      const domains = trustDomains.length > 0 ? trustDomains : ownDomains;
      if (spiffeBundleUrl === '') add(domains, pem, index);
      else if (certSigners.length === 0 || trustDomains.length > 0)
        add(domains, sources.get(spiffeBundleUrl)?.pem ?? '', index);
    });
    if (problems.join() !== refused) {
      refused = problems.join();
      for (const problem of problems) log.error(`mesh configuration: ${problem}`);
    }
    return {
      domains: Object.fromEntries([...parts].map(([domain, pems]) => [domain, mergeBundles(pems)])),
      ...(crl !== undefined && { crl }),
    };
  };

  const publish = (): void => {
    const config = options.meshConfig();
    const now: TrustBundles = namesAuthorities(config) ? bundles() : { domains: {} };
    const text = JSON.stringify(now);
    if (text === published) return;
    published = text;
    options.onChange(now);
  };

  const refresh = (): void => {
    const wanted = new Set(
      trustedAuthorities(options.meshConfig()).flatMap(({ spiffeBundleUrl }) => spiffeBundleUrl || []),
    );
    for (const [url, source] of sources)
      if (!wanted.has(url)) {
        source.cancel();
        sources.delete(url);
      }
    for (const url of wanted) {
      if (sources.has(url)) continue;
      const source: Source = { pem: '', failures: 0, cancel: () => undefined };
      sources.set(url, source);
      void fetchOnce(url, source);
    }
    publish();
  };

  return {
    refresh,
    own: () =>
      namesAuthorities(options.meshConfig())
        ? (bundles().domains[trustDomainOf(options.meshConfig())] ?? options.own().root)
        : options.own().root,
    close: () => {
      for (const source of sources.values()) source.cancel();
      sources.clear();
    },
  };
}
