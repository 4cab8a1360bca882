import { servicePortProtocol } from '@istio-ts/mesh/protocol';
import type { Analyzer } from '../analyzer.ts';
import { isSystemNamespace } from '../context.ts';
import { serviceFacts } from '../services.ts';

/** Ports of Services whose protocol nobody can tell by their name. */
export const servicePortName: Analyzer = {
  name: 'service.PortNameAnalyzer',
  description: 'Checks that the ports of Services say which protocol they speak',
  inputs: ['Service'],
  run: (context) => {
    for (const entry of context.objects('Service')) {
      if (isSystemNamespace(entry.namespace) || entry.namespace === context.snapshot.istioNamespace) continue;
      const { ports, type } = serviceFacts(entry);
      ports.forEach((port, index) => {
        const protocol = servicePortProtocol({ ...port, number: port.port });
        const path = `spec.ports[${index}]`;
        if (type === 'ExternalName') {
          if (protocol === 'Auto' || protocol === 'TCP')
            context.report(entry, 'ExternalNameServiceTypeInvalidPortName', {}, path);
        } else if (protocol === 'Auto') {
          const args = { portName: port.name, port: port.port, targetPort: String(port.targetPort ?? port.port) };
          context.report(entry, 'PortNameIsNotUnderNamingConvention', args, path);
        }
      });
    }
  },
};
