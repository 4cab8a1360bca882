import type { DestinationRuleSpec, MeshConfig } from '@istio-ts/api';
import type { Endpoint, Locality, TrafficDistribution } from '@istio-ts/mesh/model';
import { type ClientPlace, groupEndpoints, labelPriority, type PlacedGroup } from './locality.ts';

type LoadBalancer = NonNullable<NonNullable<DestinationRuleSpec['trafficPolicy']>['loadBalancer']>;
export type ZoneSettings = NonNullable<LoadBalancer['zoneAwareLbSetting']>;

/**
 * The settings of load balancing by zone in force: those of the DestinationRule, else those of the mesh where nothing nearer says how localities count
 * (its `localityLbSetting`, or the service's traffic distribution); undefined where it is off.
 */
export function zoneSettings(
  own: LoadBalancer | undefined,
  mesh: MeshConfig,
  distribution: TrafficDistribution | undefined,
): ZoneSettings | undefined {
  const nearer = own?.localityLbSetting !== undefined || distribution !== undefined;
  const settings = own?.zoneAwareLbSetting ?? (nearer ? undefined : mesh.zoneAwareLbSetting);
  return settings?.enabled === false ? undefined : settings;
}

/** Regions by their rank: the client's own, those that take over for it, all others. */
function regionRank(client: Locality, endpoint: Locality, { failover = [] }: ZoneSettings): 0 | 1 | 2 {
  if (client.region === '' || endpoint.region === client.region) return 0;
  return failover.some((entry) => entry.from === client.region && entry.to === endpoint.region) ? 1 : 2;
}

/**
 * Groups endpoints by zone. Regions are always apart, the client's own first; labels of `failoverPriority` come before that (DestinationRule reference,
 * ZoneAwareLoadBalancerSetting). What each zone of the first priority gets is for Envoy to decide.
 */
export function placeByZone(
  endpoints: readonly Endpoint[],
  client: ClientPlace,
  settings: ZoneSettings,
): readonly PlacedGroup[] {
  const labels = settings.failoverPriority ?? [];
  return groupEndpoints(
    endpoints,
    (endpoint) =>
      3 * labelPriority(endpoint, client, labels) + regionRank(client.locality, endpoint.locality, settings),
    ({ locality }) => zoneOf(locality, client.locality),
  );
}

/** Envoy compares localities as a whole: those that differ in the sub-zone only are made the same. */
function zoneOf(locality: Locality, client: Locality): Locality {
  const same = locality.region === client.region && locality.zone === client.zone;
  return { ...locality, subzone: same ? client.subzone : '' };
}
