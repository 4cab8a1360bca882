import { labels as knownLabels } from '@istio-ts/api/labels';
import { list, fields } from '@istio-ts/mesh/kubernetes/read';
import type { Analyzer } from '../analyzer.ts';

/** ServiceEntries with TCP ports and no addresses: such a port takes all connections, whatever their destination. */
export const serviceEntryAddresses: Analyzer = {
  name: 'serviceentry.ProtocolAddressesAnalyzer',
  description: 'Checks that ServiceEntries with TCP ports have addresses',
  inputs: ['ServiceEntry'],
  run: (context) => {
    const metadata = context.snapshot.meshConfig.defaultConfig?.proxyMetadata ?? {};
    const allocated = metadata.ISTIO_META_DNS_CAPTURE === 'true' && metadata.ISTIO_META_DNS_AUTO_ALLOCATE === 'true';
    for (const entry of context.istio('ServiceEntry')) {
      const { addresses, ports } = entry.spec;
      if (addresses?.length || allocated || entry.labels[knownLabels.enableAutoallocateIp] === 'true') continue;
      // What istiod has allocated already.
      if (list(fields(entry.object.status).addresses).length > 0) continue;
      (ports ?? []).forEach(({ protocol }, index) => {
        if (protocol !== undefined && protocol !== '' && protocol.toUpperCase() !== 'TCP') return;
        context.report(entry, 'ServiceEntryAddressesRequired', {}, `spec.ports[${index}]`);
      });
    }
  },
};
