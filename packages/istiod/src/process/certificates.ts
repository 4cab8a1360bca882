import { setTimeout as sleep } from 'node:timers/promises';
import { istiodDnsNames } from '@istio-ts/security';
import { authorityFolder } from '../authority/folder.ts';
import { type AuthorityKeeper, keepAuthority } from '../authority/keeper.ts';
import type { Logger } from '../log.ts';
import { registerAuthorityMetrics } from '../metrics/pilot.ts';
import { startTrustBundles } from '../trust/start.ts';
import { followMeshAuthority } from './external-authority.ts';
import { delayed, type Ground } from './ground.ts';
import { createIdentities, type Identities, rootsOfSigner } from './identities.ts';
import type { Model } from './model.ts';
import { keepOwnCertificate, type OwnCertificate } from './own-certificate.ts';
import { persist } from './persist.ts';

const serverCertificateMs = 365 * 24 * 3600 * 1000;
/** How long a signer of the cluster may take for istiod's own certificate. */
const signerMs = 30_000;

/** Who signs, who is who, and what istiod's own servers show. */
export interface Certificates {
  readonly log: Logger;
  readonly authority: AuthorityKeeper;
  readonly identities: Identities;
  readonly own: OwnCertificate;
  /** PEM of what clients of istiod have to trust. */
  readonly anchors: () => string;
  /** What istiod's servers show, and what certificates of their clients must lead to. */
  readonly serverTls: () => { readonly cert: string; readonly key: string; readonly ca: string };
  /** Begins to keep what proxies trust beside the CA, as the mesh configuration says, which has to be known. */
  readonly startTrust: () => void;
  /** The CA's anchors or revocation list are others now. */
  readonly refreshTrust: () => void;
  /** `listener` hears of further anchors of a CA that the mesh configuration names. */
  readonly onExternalRoots: (listener: () => void) => void;
  readonly close: () => void;
}

/** Has the CA, and istiod's own certificate; tries until there are both. */
export async function startCertificates(ground: Ground, { mesh, sources }: Model): Promise<Certificates> {
  const { settings, client, logger, log, metrics } = ground;
  const caLog = logger('ca', 'Signing of certificates');
  const authority = await startAuthority(ground, caLog);
  const meshAuthority = followMeshAuthority(ground, mesh, authority);
  const whoIsWho = createIdentities({
    client,
    settings: settings.identity,
    tokenAudiences: settings.tokenAudiences,
    workloadTtl: { defaultMs: settings.authority.defaultWorkloadTtlMs, maxMs: settings.authority.maxWorkloadTtlMs },
    mesh,
    logger,
  });
  const identities: Identities = {
    ...whoIsWho,
    // A signer that istiod's own settings name comes before one of the mesh configuration.
    get externalCa() {
      return whoIsWho.externalCa ?? meshAuthority.signer();
    },
    externalRoots: () => whoIsWho.externalRoots() + meshAuthority.roots(),
  };
  const dnsNames = istiodDnsNames(settings.namespace, settings.revision);
  const own = await persist(
    'istiod has no certificate of its own',
    () =>
      keepOwnCertificate(settings.identity.ownCertificate, {
        client,
        dnsNames,
        rootsOf: (signer) => rootsOfSigner(mesh.config.current, signer),
        after: delayed,
        sleep,
        now: () => new Date(),
        timeoutMs: signerMs,
        log,
      }),
    { log, sleep },
  );
  let trustBundles: ReturnType<typeof startTrustBundles> | undefined;
  return {
    log: caLog,
    authority,
    identities,
    own,
    anchors: () => authority.current().root + own.roots(),
    serverTls: () => {
      const { root, issueServer } = authority.current();
      const { chain, key } = own.current() ?? issueServer({ dnsNames, ttl: serverCertificateMs, now: new Date() });
      // Proxies whose certificates another authority gave are clients too.
      return { cert: chain, key, ca: (trustBundles?.own() ?? root) + identities.externalRoots() };
    },
    startTrust: () => {
      trustBundles = startTrustBundles(mesh, sources, {
        own: () => ({
          root: authority.current().root + (identities.externalCa ? identities.externalRoots() : ''),
          crl: authority.crl(),
        }),
        settings: settings.tokenKeys,
        metrics,
        log: logger('trust', 'Authorities that proxies trust beside the CA'),
      });
    },
    refreshTrust: () => trustBundles?.refresh(),
    onExternalRoots: meshAuthority.subscribe,
    close: () => {
      meshAuthority.close();
      authority.close();
      own.close();
      trustBundles?.close();
    },
  };
}

async function startAuthority({ settings, client, metrics, log }: Ground, caLog: Logger): Promise<AuthorityKeeper> {
  const { authority: ca } = settings;
  let onOutcome: (outcome: 'taken' | 'refused') => void = () => undefined;
  const authority = await persist(
    'the CA cannot be loaded',
    () =>
      keepAuthority({
        client,
        namespace: settings.namespace,
        rule: { ...ca, organization: settings.trustDomain },
        defaultWorkloadTtlMs: ca.defaultWorkloadTtlMs,
        checkIntervalMs: ca.checkIntervalMs,
        firstCheckMs: ca.jitter ? Math.random() * ca.checkIntervalMs : ca.checkIntervalMs,
        selfSignedInCacerts: ca.selfSignedInCacerts,
        folder: authorityFolder(ca.folder),
        now: () => new Date(),
        after: delayed,
        onOutcome: (outcome) => onOutcome(outcome),
        log: caLog,
      }),
    { log, sleep },
  );
  ({ outcome: onOutcome } = registerAuthorityMetrics(metrics, authority.current, Date.now));
  log.info(
    `the CA's root is ${authority.source} and valid until ${authority.current().anchor.notAfter.toISOString()}, its own certificate until ${authority.current().notAfter.toISOString()}`,
  );
  return authority;
}
