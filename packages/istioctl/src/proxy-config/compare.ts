import { type ConfigDump, clustersOf, listenersOf, routesOf, section } from '@istio-ts/envoy-dump/config-dump';
import { type Json, list, object, text } from '@istio-ts/envoy-dump/json';
import { diffLines, unifiedHunks } from './line-diff.ts';

/** How one resource differs. */
export type Difference =
  | { readonly kind: 'changed'; readonly name: string; readonly diff: string }
  | { readonly kind: 'only istiod'; readonly name: string }
  | { readonly kind: 'only Envoy'; readonly name: string };

/** The comparison of one type of resources. */
export interface Comparison {
  readonly type: 'Clusters' | 'Listeners' | 'Routes';
  readonly count: number;
  readonly differences: readonly Difference[];
  /** When Envoy got the newest of them, as it tells. */
  readonly lastUpdated: string | undefined;
}

/** Keys in one order at every depth, so that equal values have equal texts. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, ordered(inner)]),
  );
}

const textOf = (resource: Json) => JSON.stringify(ordered(resource), null, 2);
const byName = (resources: readonly Json[]) => new Map(resources.map((resource) => [text(resource.name), resource]));

function compare(wanted: readonly Json[], actual: readonly Json[]): readonly Difference[] {
  const [istiod, envoy] = [byName(wanted), byName(actual)];
  const names = [...new Set([...istiod.keys(), ...envoy.keys()])].sort();
  return names.flatMap((name): readonly Difference[] => {
    const [here, there] = [istiod.get(name), envoy.get(name)];
    if (here === undefined) return [{ kind: 'only Envoy', name }];
    if (there === undefined) return [{ kind: 'only istiod', name }];
    const [a, b] = [textOf(here), textOf(there)];
    if (a === b) return [];
    return [{ kind: 'changed', name, diff: unifiedHunks(diffLines(a.split('\n'), b.split('\n'))) }];
  });
}

/** The dump with only what came over xDS: what Envoy was started with istiod knows nothing of. */
function dynamicOnly(dump: ConfigDump): ConfigDump {
  const fixed = ['staticClusters', 'staticListeners', 'staticRouteConfigs'];
  return {
    configs: dump.configs.map((config) =>
      Object.fromEntries(Object.entries(config).filter(([key]) => !fixed.includes(key))),
    ),
  };
}

/**
 * Routes as far as they matter to requests: whether their virtual hosts came one by one is no difference, and neither is their order, for Envoy
 * looks hosts up by their domains.
 */
function comparableRoutes(dump: ConfigDump): readonly Json[] {
  return routesOf(dump).map(({ vhds: _vhds, ...routes }) => ({
    ...routes,
    virtualHosts: [...list(routes.virtualHosts)].sort((a, b) => (text(a.name) < text(b.name) ? -1 : 1)),
  }));
}

function newest(dump: ConfigDump, name: string, field: string): string | undefined {
  const entries = list(section(dump, name)?.[field]);
  const times = entries.map((entry) => text(entry.lastUpdated) || text(object(entry.activeState).lastUpdated));
  return times.filter(Boolean).sort().at(-1);
}

/** Compares what istiod would send to a proxy (its dump) with what the proxy's Envoy has: clusters, listeners and routes. */
export function compareDumps(istiod: ConfigDump, envoy: ConfigDump): readonly Comparison[] {
  const [wanted, actual] = [dynamicOnly(istiod), dynamicOnly(envoy)];
  const compared = (
    type: Comparison['type'],
    read: (dump: ConfigDump) => readonly Json[],
    part: string,
    field: string,
  ): Comparison => ({
    type,
    count: read(wanted).length,
    differences: compare(read(wanted), read(actual)),
    lastUpdated: newest(envoy, part, field),
  });
  return [
    compared('Clusters', clustersOf, 'ClustersConfigDump', 'dynamicActiveClusters'),
    compared('Listeners', listenersOf, 'ListenersConfigDump', 'dynamicListeners'),
    compared('Routes', comparableRoutes, 'RoutesConfigDump', 'dynamicRouteConfigs'),
  ];
}

function differenceText(difference: Difference): string {
  const { name } = difference;
  switch (difference.kind) {
    case 'only istiod':
      return `- ${name}: istiod would send it, Envoy does not have it\n`;
    case 'only Envoy':
      return `+ ${name}: Envoy has it, istiod does not know it\n`;
    case 'changed':
      return `--- istiod: ${name}\n+++ Envoy:  ${name}\n${difference.diff}`;
  }
}

/** What a comparison means, for people. */
export function comparisonText({ type, count, differences, lastUpdated }: Comparison): string {
  const since = lastUpdated === undefined ? '' : `, last changed ${lastUpdated.replace(/\.\d+Z$/, 'Z')}`;
  if (differences.length === 0) return `${type} Match (${count}${since})\n`;
  return `${type} Don't Match (${differences.length} of ${Math.max(count, differences.length)} differ${since})\n${differences.map(differenceText).join('')}`;
}
