import type { Cluster, Cluster_CommonLbConfig, Cluster_SlowStartConfig } from '@istio-ts/envoy';
import { protoDuration } from '../duration.ts';
import type { LocalitySettings, ZoneSettings } from '../endpoint/index.ts';
import type { LoadBalancer } from './traffic-policy.ts';

/**
 * Fields of a cluster that choose an endpoint. Without settings: the one with the fewest requests. PASSTHROUGH chooses nothing and is a matter of
 * discovery; a router, which has no original destination, balances instead.
 */
export function loadBalancing(
  settings: LoadBalancer | undefined,
): Pick<Cluster, 'lbPolicy' | 'ringHashLbConfig' | 'maglevLbConfig' | 'leastRequestLbConfig' | 'roundRobinLbConfig'> {
  const hash = settings?.consistentHash;
  if (hash) {
    if (hash.maglev) {
      return {
        lbPolicy: 'MAGLEV',
        ...(hash.maglev.tableSize && { maglevLbConfig: { tableSize: hash.maglev.tableSize } }),
      };
    }
    return {
      lbPolicy: 'RING_HASH',
      ringHashLbConfig: { minimumRingSize: hash.ringHash?.minimumRingSize || hash.minimumRingSize || 1024 },
    };
  }
  const slowStart = slowStartConfig(settings);
  switch (settings?.simple) {
    case 'RANDOM':
      return { lbPolicy: 'RANDOM' };
    case 'ROUND_ROBIN':
      return { lbPolicy: 'ROUND_ROBIN', ...(slowStart && { roundRobinLbConfig: { slowStartConfig: slowStart } }) };
    default:
      return { lbPolicy: 'LEAST_REQUEST', ...(slowStart && { leastRequestLbConfig: { slowStartConfig: slowStart } }) };
  }
}

/**
 * How localities count in Envoy: by zones, by weights, or not at all. The last has to be said, because a proxy that knows where its own workload runs
 * (metadata ENABLE_SELF_DISCOVERY) would look at zones wherever it is not told otherwise.
 */
export function localityBalancing({
  settings,
  zones,
}: {
  readonly settings: LocalitySettings | undefined;
  readonly zones: ZoneSettings | undefined;
}): Pick<Cluster_CommonLbConfig, 'localityWeightedLbConfig' | 'zoneAwareLbConfig'> {
  if (zones)
    return {
      zoneAwareLbConfig: zones.minClusterSize === undefined ? {} : { minClusterSize: String(zones.minClusterSize) },
    };
  return settings ? { localityWeightedLbConfig: {} } : { zoneAwareLbConfig: { routingEnabled: { value: 0 } } };
}

/** How new endpoints get their share step by step; `warmupDurationSecs` is the older form. */
function slowStartConfig(settings: LoadBalancer | undefined): Cluster_SlowStartConfig | undefined {
  const warmup = settings?.warmup;
  const window = protoDuration(warmup?.duration ?? settings?.warmupDurationSecs);
  if (window === undefined) return undefined;
  return {
    slowStartWindow: window,
    ...(warmup?.aggression !== undefined &&
      warmup.aggression > 0 && {
        aggression: { defaultValue: warmup.aggression, runtimeKey: 'upstream.slow_start.aggression' },
      }),
    ...(warmup?.minimumPercent !== undefined && { minWeightPercent: { value: warmup.minimumPercent } }),
  };
}
