import type { Analyzer } from '../analyzer.ts';
import { serviceInputs } from '../services.ts';
import { destinationsOf } from '../virtual-service.ts';

/** Services and delegates that VirtualServices name: whether they exist, whether the port is clear. */
export const virtualServiceDestination: Analyzer = {
  name: 'virtualservice.DestinationHostAnalyzer',
  description: 'Checks the services, ports and delegates that VirtualServices send to',
  inputs: ['VirtualService', ...serviceInputs],
  run: (context) => {
    const services = context.services();
    for (const entry of context.istio('VirtualService')) {
      for (const { destination, path } of destinationsOf(entry.spec)) {
        const { host, port } = destination;
        const found = services.lookup(host, entry.namespace);
        if (found.length === 0) {
          const args = { reftype: 'host', refval: host };
          context.report(entry, 'ReferencedResourceNotFound', args, `${path}.host`);
          continue;
        }
        const ports = [...new Set(found.flatMap((service) => service.ports.map(({ number }) => number)))];
        ports.sort((a, b) => a - b);
        const number = port?.number ?? 0;
        if (number === 0) {
          if (ports.length > 1) {
            const args = { destHost: host, destPorts: ports };
            context.report(entry, 'VirtualServiceDestinationPortSelectorRequired', args, path);
          }
        } else if (ports.length > 0 && !ports.includes(number)) {
          const args = { reftype: 'host:port', refval: `${host}:${number}` };
          context.report(entry, 'ReferencedResourceNotFound', args, `${path}.port.number`);
        }
      }
      (entry.spec.http ?? []).forEach(({ delegate }, index) => {
        if (!delegate?.name) return;
        const namespace = delegate.namespace || entry.namespace;
        if (context.find('VirtualService', namespace, delegate.name)) return;
        const args = { reftype: 'delegate', refval: `${namespace}/${delegate.name}` };
        context.report(entry, 'ReferencedResourceNotFound', args, `spec.http[${index}].delegate.name`);
      });
    }
  },
};
