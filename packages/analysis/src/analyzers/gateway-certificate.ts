import type { Analyzer } from '../analyzer.ts';
import { type IstioObject, nameOf } from '../config-object.ts';
import type { AnalysisContext } from '../context.ts';
import { gatewayPods } from '../gateway-pods.ts';
import { groupBy } from '../overlap.ts';
import { selectorText } from '../virtual-service.ts';
import { workloadInputs } from '../workloads.ts';

/** Several Gateways on the same pods with the same certificate: clients reuse a connection of the one for hosts of the other. */
export const gatewayCertificate: Analyzer = {
  name: 'gateway.CertificateAnalyzer',
  description: 'Checks for several Gateways that serve the same certificate on the same pods',
  inputs: ['Gateway', ...workloadInputs],
  run: (context) => {
    const uses = context.istio('Gateway').flatMap((entry) => {
      const places = placesOf(context, entry);
      return certificatesOf(entry).flatMap(({ certificate, path }) =>
        places.map((place) => ({ entry, path, key: JSON.stringify([place, certificate]) })),
      );
    });
    for (const group of groupBy(uses, ({ key }) => key).values()) {
      const gateways = [...new Set(group.map(({ entry }) => nameOf(entry)))].sort();
      if (gateways.length < 2) continue;
      for (const { entry, path } of group) context.report(entry, 'GatewayDuplicateCertificate', { gateways }, path);
    }
  },
};

/** Where a Gateway is served: its pods, or what it asks for when there are none yet. */
function placesOf(context: AnalysisContext, entry: IstioObject<'Gateway'>): readonly string[] {
  const pods = gatewayPods(context, entry.spec).map(nameOf);
  return pods.length > 0 ? pods : [`selector ${selectorText(entry.spec.selector)}`];
}

function certificatesOf(
  entry: IstioObject<'Gateway'>,
): readonly { readonly certificate: string; readonly path: string }[] {
  return (entry.spec.servers ?? []).flatMap(({ tls }, index) => {
    const path = `spec.servers[${index}].tls`;
    if (!tls || tls.mode === 'PASSTHROUGH' || tls.mode === 'AUTO_PASSTHROUGH' || tls.mode === 'ISTIO_MUTUAL') return [];
    if (tls.credentialName) return [{ certificate: `secret ${tls.credentialName}`, path: `${path}.credentialName` }];
    if (tls.serverCertificate)
      return [{ certificate: `file ${tls.serverCertificate}`, path: `${path}.serverCertificate` }];
    return [];
  });
}
