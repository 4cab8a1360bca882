import type { KubeObject } from '@istio-ts/kube';
import type { Badge } from '../api.ts';
import { ByHost, fullHost } from './hosts.ts';
import { type Fields, fields, list, text, texts } from './read.ts';

/** The configuration of the mesh that changes how services are shown. */
export interface ConfigView {
  /** What a host of the mesh has configured. */
  readonly badgesOf: (host: string) => ReadonlySet<Badge>;
  /** The ServiceEntry that a host belongs to. */
  readonly entryOf: (host: string) => ServiceEntryView | undefined;
}

export interface ServiceEntryView {
  readonly namespace: string;
  readonly name: string;
  readonly host: string;
  readonly external: boolean;
}

interface HostBadges {
  readonly hosts: readonly string[];
  readonly badges: readonly Badge[];
}

/** Reads VirtualServices, DestinationRules and ServiceEntries. Pure. */
export function configView(
  objects: {
    readonly virtualServices: readonly KubeObject[];
    readonly destinationRules: readonly KubeObject[];
    readonly serviceEntries: readonly KubeObject[];
  },
  domainSuffix: string,
): ConfigView {
  const badges = new ByHost<readonly Badge[]>();
  for (const each of [
    ...objects.virtualServices.map((object) => virtualServiceBadges(object, domainSuffix)),
    ...objects.destinationRules.map((object) => destinationRuleBadges(object, domainSuffix)),
  ])
    for (const host of each.hosts) badges.add(host, each.badges);
  const entries = new ByHost<ServiceEntryView>();
  for (const { metadata, spec } of objects.serviceEntries)
    for (const name of texts(fields(spec).hosts)) {
      const host = name.toLowerCase();
      entries.add(host, {
        namespace: metadata.namespace ?? '',
        name: metadata.name ?? '',
        host,
        external: text(fields(spec).location) !== 'MESH_INTERNAL',
      });
    }
  return {
    badgesOf: (host) => new Set(badges.find(host).flat()),
    entryOf: (host) => entries.find(host)[0],
  };
}

/** Destinations of the routes of a VirtualService, as written. */
export function destinationsOf(spec: Fields): readonly Fields[] {
  const routes = [...list(spec.http), ...list(spec.tcp), ...list(spec.tls)];
  return routes.flatMap((route) => [
    ...list(route.route).map(({ destination }) => fields(destination)),
    ...(route.mirror === undefined ? [] : [fields(route.mirror)]),
    ...list(route.mirrors).map(({ destination }) => fields(destination)),
  ]);
}

function virtualServiceBadges({ metadata, spec }: KubeObject, domainSuffix: string): HostBadges {
  const rules = fields(spec);
  const namespace = metadata.namespace ?? '';
  const http = list(rules.http);
  const routes = [...http, ...list(rules.tcp), ...list(rules.tls)];
  const badges: Badge[] = ['virtual-service'];
  if (http.some(({ fault }) => fault !== undefined)) badges.push('fault-injection');
  if (http.some(({ timeout }) => text(timeout) !== '' && text(timeout) !== '0s')) badges.push('request-timeout');
  if (http.some(({ mirror, mirrors }) => mirror !== undefined || list(mirrors).length > 0)) badges.push('mirroring');
  if (routes.some(({ route }) => list(route).length > 1)) badges.push('traffic-shifting');
  const named = [
    ...texts(rules.hosts).filter((host) => host !== '*'),
    ...destinationsOf(rules).map(({ host }) => text(host)),
  ];
  return { hosts: [...new Set(named.map((host) => fullHost(host, namespace, domainSuffix)))], badges };
}

function destinationRuleBadges({ metadata, spec }: KubeObject, domainSuffix: string): HostBadges {
  const rule = fields(spec);
  const policies = [rule, ...list(rule.subsets)].flatMap(({ trafficPolicy }) => [
    fields(trafficPolicy),
    ...list(fields(trafficPolicy).portLevelSettings),
  ]);
  const breaks = policies.some(
    ({ connectionPool, outlierDetection }) => connectionPool !== undefined || outlierDetection !== undefined,
  );
  return {
    hosts: [fullHost(text(rule.host), metadata.namespace ?? '', domainSuffix)],
    badges: breaks ? ['circuit-breaker'] : [],
  };
}
