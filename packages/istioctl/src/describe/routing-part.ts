import {
  hostCovers,
  type MergedDestinationRule,
  type Service,
  selectorMatches,
  type VirtualService,
} from '@istio-ts/mesh';
import { routeExtras, routeMatchText } from './match-text.ts';

type Labels = Readonly<Record<string, string>>;
type Destination = { readonly host?: string; readonly subset?: string };
type Weighted = { readonly destination?: Destination; readonly weight?: number };

/** Whom a description is about: a service, and perhaps one pod of it. */
export interface RoutingSubject {
  readonly service: Service;
  readonly rule: MergedDestinationRule | undefined;
  /** Labels of the pod; undefined: the service as a whole. */
  readonly pod: Labels | undefined;
}

const servesMesh = (virtualService: VirtualService) => (virtualService.spec.gateways ?? ['mesh']).includes('mesh');

/** All destinations that a VirtualService names. */
function destinationsOf({ spec }: VirtualService): readonly Destination[] {
  return [...(spec.http ?? []), ...(spec.tcp ?? []), ...(spec.tls ?? [])].flatMap((route) =>
    (route.route ?? []).flatMap(({ destination }) => (destination ? [destination] : [])),
  );
}

/** The VirtualServices that shape requests of the mesh to this service. */
export const meshRoutesOf = (all: readonly VirtualService[], { hostname }: Service): readonly VirtualService[] =>
  all.filter((one) => servesMesh(one) && (one.spec.hosts ?? []).some((host) => hostCovers(host, hostname)));

/** The VirtualServices that send requests of gateways to this service. */
export const gatewayRoutesOf = (all: readonly VirtualService[], { hostname }: Service): readonly VirtualService[] =>
  all.filter(
    (one) =>
      (one.spec.gateways ?? []).some((gateway) => gateway !== 'mesh') &&
      destinationsOf(one).some(({ host }) => host === hostname),
  );

/** Whether a destination can end at the pod (or, without one, at the service). */
function reaches({ host, subset }: Destination, { service, rule, pod }: RoutingSubject): boolean {
  if (host !== service.hostname) return false;
  if (!pod || !subset) return true;
  const labels = rule?.spec.subsets?.find(({ name }) => name === subset)?.labels;
  return labels !== undefined && selectorMatches(labels, pod);
}

function targetText({ host = '', subset }: Destination, { service }: RoutingSubject): string {
  const where = host === service.hostname ? '' : `${host} `;
  return subset ? `${where}subset ${subset}` : where === '' ? service.name : host;
}

/** `80% subset v1 (this pod), 20% subset v2`. */
function targetsText(targets: readonly Weighted[], subject: RoutingSubject): string {
  const sum = targets.reduce((total, { weight = 0 }) => total + weight, 0);
  return targets
    .map(({ destination = {}, weight = 0 }) => {
      const share = targets.length > 1 && sum > 0 ? `${Math.round((weight / sum) * 100)}% ` : '';
      const here = subject.pod && destination.subset && reaches(destination, subject) ? ' (this pod)' : '';
      return `${share}${targetText(destination, subject)}${here}`;
    })
    .join(', ');
}

/** One line a route: what it matches and where that goes. */
export function routeLines({ spec }: VirtualService, subject: RoutingSubject): readonly string[] {
  const missing = (targets: readonly Weighted[]) =>
    targets.flatMap(({ destination }) =>
      destination?.host === subject.service.hostname &&
      destination.subset &&
      !subject.rule?.spec.subsets?.some(({ name }) => name === destination.subset)
        ? [`   WARNING: subset ${destination.subset} is not in the DestinationRule of callers: such requests fail`]
        : [],
    );
  const line = (name: string, match: string, targets: readonly Weighted[], extras: string) => {
    const named = name === '' ? '' : `"${name}" `;
    const misses =
      subject.pod !== undefined && !targets.some(({ destination }) => destination && reaches(destination, subject));
    return [
      `   Route ${named}${match} -> ${targetsText(targets, subject)}${extras && `; ${extras}`}${misses ? ' [not to this pod]' : ''}`,
      ...missing(targets),
    ];
  };
  const http = (spec.http ?? []).flatMap((route) => {
    if (route.redirect) return [`   Route ${routeMatchText(route)} -> redirected`];
    if (route.directResponse)
      return [`   Route ${routeMatchText(route)} -> answered with ${route.directResponse.status}`];
    return line(route.name ?? '', routeMatchText(route), route.route ?? [], routeExtras(route));
  });
  const tls = (spec.tls ?? []).flatMap((route) =>
    line('', `TLS ${(route.match ?? []).flatMap(({ sniHosts = [] }) => sniHosts).join(', ')}`, route.route ?? [], ''),
  );
  const tcp = (spec.tcp ?? []).flatMap((route) => {
    const ports = (route.match ?? []).flatMap(({ port }) => (port ? [String(port)] : []));
    return line('', `TCP${ports.length > 0 ? ` port ${ports.join(', ')}` : ''}`, route.route ?? [], '');
  });
  return [...http, ...tls, ...tcp];
}
