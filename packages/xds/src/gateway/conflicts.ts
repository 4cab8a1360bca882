import type { GatewaySpec } from '@istio-ts/api';
import type { Config, InboundTarget, Service } from '@istio-ts/mesh/model';
import { bindServers, type ServerConflict } from './server.ts';

type Gateway = Config<GatewaySpec>;
type Labels = Readonly<Record<string, string>>;

const includes = (all: Labels, some: Labels): boolean =>
  Object.entries(some).every(([key, value]) => all[key] === value);

const textOf = (labels: Labels): string => JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));

/** The ports of Services that select the same pods as a Gateway, as far as their numbers are known without the pods. */
function portsOf(selector: Labels, services: readonly Service[]): readonly InboundTarget[] {
  return services.flatMap((service) => {
    const own = service.selector ?? {};
    if (Object.keys(own).length === 0 || !(includes(own, selector) || includes(selector, own))) return [];
    return service.ports.flatMap((port) =>
      typeof port.targetPort === 'string' ? [] : [{ service, port, targetPort: port.targetPort ?? port.number }],
    );
  });
}

/**
 * What Gateways ask for and do not get because an older one has it, by `namespace/name` of the Gateway. Gateways meet where the pods that one selects
 * are selected by the other too, with `sameNamespaceOnly` (PILOT_SCOPE_GATEWAY_TO_NAMESPACE) within a namespace; `gateways` are ordered by age.
 */
export function gatewayConflicts(
  gateways: readonly Gateway[],
  services: readonly Service[],
  sameNamespaceOnly = false,
): ReadonlyMap<string, readonly ServerConflict[]> {
  if (sameNamespaceOnly) {
    const namespaces = [...new Set(gateways.map(({ origin }) => origin.namespace))];
    return new Map(
      namespaces.flatMap((namespace) => [
        ...gatewayConflicts(
          gateways.filter(({ origin }) => origin.namespace === namespace),
          services,
        ),
      ]),
    );
  }
  const selectors = new Map<string, Labels>();
  for (const { spec } of gateways) selectors.set(textOf(spec.selector ?? {}), spec.selector ?? {});
  const found = new Map<string, Map<string, ServerConflict>>();
  for (const selector of selectors.values()) {
    const together = gateways.filter((gateway) => includes(selector, gateway.spec.selector ?? {}));
    for (const conflict of bindServers({ gateways: together, inbound: portsOf(selector, services) }).conflicts) {
      const key = `${conflict.gateway.namespace}/${conflict.gateway.name}`;
      const known = found.get(key) ?? new Map<string, ServerConflict>();
      known.set(conflict.path, conflict);
      found.set(key, known);
    }
  }
  return new Map([...found].map(([key, conflicts]) => [key, [...conflicts.values()]]));
}
