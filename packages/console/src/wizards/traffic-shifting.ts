import { destinationRuleOf, newDestinationRule, withSubsets } from './destination-rule.ts';
import { listOf, type MeshObject, type WizardResult, type WizardService } from './object.ts';
import {
  changeRoutes,
  isDefault,
  leadsTo,
  newVirtualService,
  protocolOf,
  virtualServiceOf,
  weightedRoute,
  weightsOf,
} from './virtual-service.ts';
import { evenWeights, normalized, type Weight } from './weights.ts';

/** How the service's traffic is divided now: by its default route, else evenly over its versions, as without configuration. */
export function currentWeights(service: WizardService, objects: readonly MeshObject[]): readonly Weight[] {
  const rule = destinationRuleOf(service, objects);
  const virtual = virtualServiceOf(service, objects);
  const routes = virtual
    ? listOf(virtual.spec[protocolOf(virtual)]).filter((route) => leadsTo(route, virtual.metadata.namespace, service))
    : [];
  const route = routes.find(isDefault) ?? routes[0];
  const known = route && virtual ? weightsOf(route, rule, service, virtual.metadata.namespace) : undefined;
  if (!known) return evenWeights(service.versions);
  const versions = [...new Set([...service.versions, ...known.map(({ version }) => version)])];
  return normalized(
    versions.map((version) => ({ version, weight: known.find((each) => each.version === version)?.weight ?? 0 })),
  );
}

/** Divides the traffic of the service's default route: changes its VirtualService and gives its DestinationRule the subsets that are missing. */
export function shiftTraffic(
  service: WizardService,
  objects: readonly MeshObject[],
  weights: readonly Weight[],
): WizardResult {
  const before = destinationRuleOf(service, objects);
  const rule = withSubsets(
    before ?? newDestinationRule(service),
    weights.map(({ version }) => version),
  );
  const virtual = virtualServiceOf(service, objects) ?? newVirtualService(service);
  const changed = changeRoutes(virtual, service, 'default', (route) => ({
    ...route,
    route: weightedRoute(weights, rule, service, route, virtual.metadata.namespace),
  }));
  return { objects: rule === before ? [changed] : [rule, changed], notes: scopeNotes(changed) };
}

/** What people should know about where a VirtualService applies. */
export function scopeNotes({ spec, metadata }: MeshObject): readonly string[] {
  const gateways = Array.isArray(spec.gateways) ? spec.gateways : [];
  if (gateways.length === 0 || gateways.includes('mesh')) return [];
  return [
    `VirtualService ${metadata.name} applies to traffic through ${gateways.join(', ')} only; calls inside the mesh are not changed.`,
  ];
}
