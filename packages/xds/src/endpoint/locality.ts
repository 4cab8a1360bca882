import type { DestinationRuleSpec, MeshConfig } from '@istio-ts/api';
import { formatLocality, parseLocality } from '@istio-ts/mesh/locality';
import type { Endpoint, Locality, TrafficDistribution } from '@istio-ts/mesh/model';

type TrafficPolicy = NonNullable<DestinationRuleSpec['trafficPolicy']>;
export type LocalitySettings = NonNullable<NonNullable<TrafficPolicy['loadBalancer']>['localityLbSetting']>;

/** Where a client is, as far as load balancing by locality looks at it. */
export interface ClientPlace {
  readonly locality: Locality;
  readonly labels: Readonly<Record<string, string>>;
  readonly network: string;
  readonly clusterId: string;
  /** Only where endpoints of the client's own node are preferred. */
  readonly node?: string;
}

/** A group of endpoints with the priority and weight that Envoy gives it. */
export interface PlacedGroup {
  readonly locality: Locality;
  readonly endpoints: readonly Endpoint[];
  readonly weight: number;
  readonly priority: number;
}

/** What endpoints are compared by where a service asks for near ones, the most important first (Istio documentation, `networking.istio.io/traffic-distribution`). */
const nearness = [
  'topology.istio.io/network',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
];
const distributions: Readonly<Record<TrafficDistribution, LocalitySettings>> = {
  PreferSameZone: { failoverPriority: nearness },
  PreferSameNode: { failoverPriority: [...nearness, 'kubernetes.io/hostname'] },
};

/**
 * The settings in force: those of the DestinationRule, else what the service's traffic distribution means, else those of the mesh; undefined where
 * load balancing by locality is off. The same object for the same arguments.
 */
export function localitySettings(
  own: LocalitySettings | undefined,
  mesh: MeshConfig,
  distribution?: TrafficDistribution,
): LocalitySettings | undefined {
  if (!own && distribution) return distributions[distribution];
  const settings = own ?? mesh.localityLbSetting ?? {};
  return settings.enabled === false ? undefined : settings;
}

/**
 * Groups endpoints by locality and sets priorities and weights as the settings say: `distribute` splits by weight; `failoverPriority` prefers
 * endpoints by matching labels; otherwise, and only with outlier detection (for without it nothing ever fails over), nearer localities come
 * first (Istio documentation, "Locality Load Balancing").
 */
export function placeEndpoints(
  endpoints: readonly Endpoint[],
  client: ClientPlace | undefined,
  settings: LocalitySettings | undefined,
  failover: boolean,
): readonly PlacedGroup[] {
  if (!client || !settings) return groupEndpoints(endpoints, () => 0);
  if (settings.distribute?.length)
    return distribute(
      groupEndpoints(endpoints, () => 0),
      client.locality,
      settings.distribute,
    );
  if (!failover) return groupEndpoints(endpoints, () => 0);
  const labels = settings.failoverPriority ?? [];
  if (labels.length > 0) return groupEndpoints(endpoints, (endpoint) => labelPriority(endpoint, client, labels));
  if (client.locality.region === '') return groupEndpoints(endpoints, () => 0);
  return groupEndpoints(endpoints, (endpoint) => distance(client.locality, endpoint.locality, settings.failover ?? []));
}

/** Groups of endpoints by priority and locality, with priorities from 0 and without gaps. */
export function groupEndpoints(
  endpoints: readonly Endpoint[],
  priorityOf: (endpoint: Endpoint) => number,
  localityOf: (endpoint: Endpoint) => Locality = ({ locality }) => locality,
): readonly PlacedGroup[] {
  const groups = new Map<string, { locality: Locality; priority: number; endpoints: Endpoint[] }>();
  for (const endpoint of endpoints) {
    const priority = priorityOf(endpoint);
    const locality = localityOf(endpoint);
    const key = `${String(priority).padStart(4, '0')} ${formatLocality(locality)}`;
    const found = groups.get(key) ?? { locality, priority, endpoints: [] };
    found.endpoints.push(endpoint);
    groups.set(key, found);
  }
  const sorted = [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
  // Envoy wants priorities without gaps.
  const used = [...new Set(sorted.map(({ priority }) => priority))];
  return sorted.map((found) => ({
    locality: found.locality,
    endpoints: found.endpoints,
    priority: used.indexOf(found.priority),
    weight: found.endpoints.reduce((sum, endpoint) => sum + endpoint.weight, 0),
  }));
}

function distance(client: Locality, endpoint: Locality, failover: NonNullable<LocalitySettings['failover']>): number {
  if (endpoint.region === client.region) {
    if (endpoint.zone !== client.zone) return 2;
    return endpoint.subzone === client.subzone ? 0 : 1;
  }
  if (failover.length === 0) return 3;
  return failover.some((entry) => entry.from === client.region && entry.to === endpoint.region) ? 3 : 4;
}

/** Number of the first of the labels that the endpoint does not share with the client, counted from the end: 0 when it shares all. */
export function labelPriority(endpoint: Endpoint, client: ClientPlace, labels: readonly string[]): number {
  for (const [i, entry] of labels.entries()) {
    const [name = '', value] = entry.split('=', 2);
    const wanted = value ?? placeLabel(client, client.labels, name);
    if (placeLabel(endpoint, endpoint.labels, name) !== wanted) return labels.length - i;
  }
  return 0;
}

function placeLabel(
  place: {
    readonly locality: Locality;
    readonly network: string;
    readonly clusterId: string;
    readonly node?: string;
  },
  labels: Readonly<Record<string, string>>,
  name: string,
): string {
  switch (name) {
    case 'topology.kubernetes.io/region':
      return place.locality.region;
    case 'topology.kubernetes.io/zone':
      return place.locality.zone;
    case 'topology.istio.io/subzone':
      return place.locality.subzone;
    case 'topology.istio.io/network':
      return place.network;
    case 'topology.istio.io/cluster':
      return place.clusterId;
    case 'kubernetes.io/hostname':
      return place.node ?? '';
    default:
      return labels[name] ?? '';
  }
}

function distribute(
  groups: readonly PlacedGroup[],
  client: Locality,
  rules: NonNullable<LocalitySettings['distribute']>,
): readonly PlacedGroup[] {
  const rule = rules.find((entry) => localityMatches(entry.from ?? '', client));
  if (!rule) return groups;
  const weights = new Map<PlacedGroup, number>();
  // The longest pattern that covers a locality counts for it; localities that share one split its weight by their endpoints.
  const patterns = Object.keys(rule.to ?? {}).sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
  const taken = new Set<PlacedGroup>();
  for (const pattern of patterns) {
    const covered = groups.filter((one) => !taken.has(one) && localityMatches(pattern, one.locality));
    const total = covered.reduce((sum, one) => sum + one.weight, 0);
    for (const one of covered) {
      taken.add(one);
      weights.set(one, Math.max(1, Math.round(((rule.to?.[pattern] ?? 0) * one.weight * 100) / total)));
    }
  }
  return groups.flatMap((one) => {
    const weight = weights.get(one);
    return weight === undefined ? [] : [{ ...one, weight }];
  });
}

/** Whether `region/zone/subzone`, with `*` for anything from there on, covers a locality. */
function localityMatches(pattern: string, locality: Locality): boolean {
  const parts = parseLocality(pattern);
  for (const part of ['region', 'zone', 'subzone'] as const) {
    if (parts[part] === '*') return true;
    if (parts[part] === '' && part !== 'region') return true;
    if (parts[part] !== locality[part]) return false;
  }
  return true;
}
