import { subsetOf, versionOf } from './destination-rule.ts';
import {
  type Fields,
  fieldsOf,
  fullHost,
  isHostOf,
  listOf,
  type MeshObject,
  numberOf,
  textOf,
  textsOf,
  type WizardService,
} from './object.ts';
import type { Weight } from './weights.ts';

/** The destination host of one element of `route`. */
const hostOf = (route: Fields): string => textOf(fieldsOf(route.destination).host) ?? '';

/** Whether a route (of http, tcp or tls) sends anything to the service. */
export const leadsTo = (route: Fields, namespace: string, service: WizardService): boolean =>
  listOf(route.route).some((each) => isHostOf(hostOf(each), namespace, service));

/**
 * The VirtualService to change for a service: one whose hosts name it (its own namespace first), else one that routes to it, such as a gateway's.
 */
export function virtualServiceOf(service: WizardService, objects: readonly MeshObject[]): MeshObject | undefined {
  const all = objects.filter(({ kind }) => kind === 'VirtualService');
  const named = all.filter(({ metadata, spec }) =>
    textsOf(spec.hosts).some((host) => isHostOf(host, metadata.namespace, service)),
  );
  const own = named.find(({ metadata }) => metadata.namespace === service.namespace) ?? named[0];
  return (
    own ??
    all.find(({ metadata, spec }) =>
      [...listOf(spec.http), ...listOf(spec.tcp)].some((route) => leadsTo(route, metadata.namespace, service)),
    )
  );
}

export function newVirtualService(service: WizardService): MeshObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: service.name, namespace: service.namespace },
    spec: { hosts: [fullHost(service)] },
  };
}

/** Which list of routes a wizard works on: TCP only where the object has no HTTP routes. */
export const protocolOf = ({ spec }: MeshObject): 'http' | 'tcp' =>
  listOf(spec.http).length === 0 && listOf(spec.tcp).length > 0 ? 'tcp' : 'http';

/** A route without conditions takes what no route before it took. */
export const isDefault = (route: Fields): boolean => listOf(route.match).length === 0;

/** A plain route to the service, as the mesh has it without any configuration. */
export const plainRoute = (service: WizardService): Fields => ({
  route: [{ destination: { host: fullHost(service) } }],
});

/**
 * Changes the routes of a VirtualService that lead to the service: its default one, or with `all` each of them. Where there is none, a default route is
 * added at the end (where it takes nothing from others).
 */
export function changeRoutes(
  object: MeshObject,
  service: WizardService,
  which: 'default' | 'all',
  change: (route: Fields) => Fields,
): MeshObject {
  const protocol = protocolOf(object);
  const routes = listOf(object.spec[protocol]);
  const leading = routes.filter((route) => leadsTo(route, object.metadata.namespace, service));
  const defaults = leading.filter(isDefault);
  const chosen = which === 'all' || defaults.length === 0 ? leading : defaults;
  const names = textsOf(object.spec.hosts).some((host) => isHostOf(host, object.metadata.namespace, service));
  const needsDefault = chosen.length === 0 || (which === 'default' && defaults.length === 0 && names);
  const changed = needsDefault
    ? [...routes, change(plainRoute(service))]
    : routes.map((route) => (chosen.includes(route) ? change(route) : route));
  return { ...object, spec: { ...object.spec, [protocol]: changed } };
}

/** The shares of versions in a route; undefined when it names something else than versions of this service. */
export function weightsOf(
  route: Fields,
  rule: MeshObject | undefined,
  service: WizardService,
  namespace: string,
): readonly Weight[] | undefined {
  const parts = listOf(route.route);
  const weights: Weight[] = [];
  for (const part of parts) {
    const subset = textOf(fieldsOf(part.destination).subset);
    const version = subset === undefined ? undefined : (versionOf(rule, subset) ?? subset);
    if (version === undefined || !isHostOf(hostOf(part), namespace, service)) return undefined;
    weights.push({ version, weight: numberOf(part.weight) ?? (parts.length === 1 ? 100 : 0) });
  }
  return weights.length === 0 ? undefined : weights;
}

/** The elements of `route` for shares of versions. What the old elements had beside the weight (headers, port) stays with its version. */
export function weightedRoute(
  weights: readonly Weight[],
  rule: MeshObject | undefined,
  service: WizardService,
  before: Fields,
  namespace: string,
): readonly Fields[] {
  const old = listOf(before.route).filter((part) => isHostOf(hostOf(part), namespace, service));
  const host = old[0] ? hostOf(old[0]) : fullHost(service);
  const port = fieldsOf(old[0]?.destination).port;
  return weights.map(({ version, weight }) => {
    const subset = subsetOf(rule, version) ?? version;
    const same = old.find((part) => textOf(fieldsOf(part.destination).subset) === subset);
    const destination = same ? fieldsOf(same.destination) : { host, subset, ...(port === undefined ? {} : { port }) };
    return { ...same, destination, weight };
  });
}
