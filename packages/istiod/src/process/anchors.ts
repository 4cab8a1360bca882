import type { TrustBundle } from '@istio-ts/injector';
import { keepClusterTrustBundle } from '../controllers/cluster-trust-bundle.ts';
import { keepRootCertificates } from '../controllers/root-certificates.ts';
import { keepWebhookCertificates } from '../controllers/webhook-certificates.ts';
import { createWebhookMetrics } from '../metrics/kubernetes.ts';
import type { Certificates } from './certificates.ts';
import type { Ground } from './ground.ts';
import type { Model } from './model.ts';

const renewalMs = 24 * 3600 * 1000;

/**
 * Writes the trust anchors to where pods and the API server look for them, and keeps those and the certificate of istiod's servers current when the CA
 * or the mesh configuration changes. `renewServers` has the servers show the certificate as it is now; it may raise an error.
 */
export function publishAnchors(
  { settings, client, metrics, logger, log }: Ground,
  { mesh, sources }: Pick<Model, 'mesh' | 'sources'>,
  certificates: Certificates,
  renewServers: () => void,
): { readonly trustBundle: () => TrustBundle; readonly close: () => void } {
  const { authority, identities, own, anchors } = certificates;
  const { authority: ca } = settings;
  const rootLog = logger('rootcert', 'Root certificates in namespaces');
  const discovers = (namespace: string) => sources.discovers(namespace);
  const rootMaps = keepRootCertificates(client, anchors, rootLog, discovers, {
    name: ca.rootConfigMap,
    key: 'root-cert.pem',
  });
  const revocationMaps =
    ca.crlConfigMap !== undefined
      ? keepRootCertificates(client, authority.crl, rootLog, discovers, { name: ca.crlConfigMap, key: 'ca-crl.pem' })
      : undefined;
  const clusterBundle = ca.clusterTrustBundle ? keepClusterTrustBundle(client, anchors, rootLog) : undefined;
  const webhooks = keepWebhookCertificates(
    client,
    { revision: settings.revision, validationName: settings.validationWebhookName, root: anchors },
    logger('webhooks', 'CA certificates in webhook configurations'),
    createWebhookMetrics(metrics),
  );

  const renew = (): void => {
    try {
      renewServers();
    } catch (error) {
      log.error(`istiod's own certificate was not renewed: ${error instanceof Error ? error.message : error}`);
    }
  };
  // Clients may show certificates of authorities that the mesh configuration names.
  const stopRenewing = sources.trustBundles.subscribe(renew);
  const renewal = setInterval(renew, renewalMs);
  renewal.unref();
  let externalRoots = identities.externalRoots();
  const followExternal = (): void => {
    if (externalRoots === identities.externalRoots()) return;
    externalRoots = identities.externalRoots();
    rootMaps.refresh();
    clusterBundle?.refresh();
    webhooks.refresh();
    certificates.refreshTrust();
    renew();
  };
  mesh.config.subscribe(followExternal);
  certificates.onExternalRoots(followExternal);
  own.subscribe(() => renew());
  // Whoever has to know an anchor hears of it before istiod shows a certificate that leads to it: signing follows trust (authority/keeper.ts).
  authority.subscribe(() => {
    rootMaps.refresh();
    revocationMaps?.refresh();
    clusterBundle?.refresh();
    certificates.refreshTrust();
    webhooks.refresh();
    renew();
  });
  return {
    trustBundle: () => (clusterBundle?.isServed() ? 'served' : 'absent'),
    close: () => {
      clearInterval(renewal);
      stopRenewing();
      for (const kept of [revocationMaps, clusterBundle, rootMaps, webhooks]) kept?.close();
    },
  };
}
