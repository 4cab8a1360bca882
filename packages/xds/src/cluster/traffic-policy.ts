import type { DestinationRuleSpec, MeshConfig } from '@istio-ts/api';

export type TrafficPolicy = NonNullable<DestinationRuleSpec['trafficPolicy']>;
export type Subset = NonNullable<DestinationRuleSpec['subsets']>[number];
export type LoadBalancer = NonNullable<TrafficPolicy['loadBalancer']>;
export type ConnectionPool = NonNullable<TrafficPolicy['connectionPool']>;
export type OutlierSettings = NonNullable<TrafficPolicy['outlierDetection']>;
export type ClientTls = NonNullable<TrafficPolicy['tls']>;

/** The traffic policy of one port of a host or subset, after all inheritance. */
export type EffectivePolicy = Omit<TrafficPolicy, 'portLevelSettings'>;

/**
 * What a DestinationRule means for one port and subset. Settings of a subset replace those of the host group by group; settings of a port replace
 * all groups that a port can have, so that what they leave out has its default (Istio documentation, DestinationRule, `portLevelSettings`).
 */
export function effectivePolicy(
  rule: DestinationRuleSpec | undefined,
  subset: Subset | undefined,
  port: number,
  mesh: MeshConfig,
): EffectivePolicy {
  const defaults = mesh.defaultTrafficPolicy;
  const start: EffectivePolicy = {
    ...(defaults?.connectionPool && { connectionPool: defaults.connectionPool }),
    ...(defaults?.outlierDetection && { outlierDetection: defaults.outlierDetection }),
  };
  return overlay(overlay(start, rule?.trafficPolicy, port), subset?.trafficPolicy, port);
}

/** The same for a subset by name and without the mesh's defaults, for what these have no say in. */
export const policyFor = (rule: DestinationRuleSpec, subset: string, port: number): EffectivePolicy =>
  overlay(
    overlay({}, rule.trafficPolicy, port),
    rule.subsets?.find(({ name }) => name === subset)?.trafficPolicy,
    port,
  );

function overlay(base: EffectivePolicy, policy: TrafficPolicy | undefined, port: number): EffectivePolicy {
  if (!policy) return base;
  const { portLevelSettings, ...settings } = policy;
  const merged: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(settings)) if (value !== undefined && value !== null) merged[name] = value;
  const ofPort = portLevelSettings?.find((entry) => entry.port?.number === port);
  if (ofPort) {
    for (const name of ['loadBalancer', 'connectionPool', 'outlierDetection', 'tls'] as const) {
      if (ofPort[name]) merged[name] = ofPort[name];
      else delete merged[name];
    }
  }
  return merged as EffectivePolicy;
}
