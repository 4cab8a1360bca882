import type { KubeObject } from '@istio-ts/kube';
import type { Badge } from '../api.ts';
import { fullHost, matchesHost } from './hosts.ts';
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
  const badges: HostBadges[] = [
    ...objects.virtualServices.map((object) => virtualServiceBadges(object, domainSuffix)),
    ...objects.destinationRules.map((object) => destinationRuleBadges(object, domainSuffix)),
  ];
  const entries = objects.serviceEntries.flatMap(({ metadata, spec }) =>
    texts(fields(spec).hosts).map((host) => ({
      namespace: metadata.namespace ?? '',
      name: metadata.name ?? '',
      host: host.toLowerCase(),
      external: text(fields(spec).location) !== 'MESH_INTERNAL',
    })),
  );
  const known = new Map<string, ReadonlySet<Badge>>();
  return {
    badgesOf: (host) => {
      let found = known.get(host);
      if (!found) {
        found = new Set(
          badges.filter(({ hosts }) => hosts.some((own) => matchesHost(own, host))).flatMap((each) => each.badges),
        );
        known.set(host, found);
      }
      return found;
    },
    entryOf: (host) =>
      entries.find((entry) => entry.host === host) ?? entries.find((entry) => matchesHost(entry.host, host)),
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
