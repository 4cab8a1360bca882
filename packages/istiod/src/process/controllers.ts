import { resolveGatewayNames, resolveName } from '../config/gateway-names.ts';
import { keepAutoAddresses } from '../controllers/auto-allocate-status.ts';
import { reportGatewayConflicts } from '../controllers/gateway-conflicts.ts';
import { writeIngressStatus } from '../controllers/ingress-status.ts';
import { untaintReadyNodes } from '../controllers/node-untaint.ts';
import { candidacy, delayed, type Ground } from './ground.ts';
import type { Model } from './model.ts';

/** Starts what istiod does to objects of the cluster beside configuring proxies, as far as the settings want it; trust anchors are in anchors.ts. */
export function startControllers(
  { settings, client, logger, metrics }: Ground,
  { mesh, sources }: Pick<Model, 'mesh' | 'sources'>,
): { readonly close: () => void } {
  const gatewayNames =
    settings.resolveGatewayNames &&
    resolveGatewayNames(mesh.gatewayNames, sources.resolvedNames, {
      resolve: (name) => resolveName(name),
      after: delayed,
      log: logger('networks', 'Gateways of networks'),
    });
  const autoAddresses =
    settings.autoAddresses &&
    keepAutoAddresses(
      client,
      sources.configs('ServiceEntry'),
      { ranges: settings.autoAddresses, ...candidacy(settings) },
      logger('ip-autoallocate', 'Addresses of ServiceEntries'),
    );
  const gatewayConflicts = reportGatewayConflicts(
    mesh,
    client,
    metrics,
    logger('gateway', 'Gateways that ask for what an older one has'),
  );
  const ingressStatus = writeIngressStatus(
    mesh,
    client,
    { ingressNamespace: settings.ingressNamespace, ...candidacy(settings) },
    logger('ingress status', 'Addresses in the status of Ingresses'),
  );
  const untaint =
    settings.untaint &&
    untaintReadyNodes(client, settings.untaint, logger('untaint', 'Taints of nodes without CNI agent'));
  return {
    close: () => {
      for (const controller of [untaint, gatewayConflicts, ingressStatus, autoAddresses, gatewayNames])
        if (controller) controller.close();
    },
  };
}
