import type { MergedDestinationRule, ProxyScope, Service, VirtualService } from '@istio-ts/mesh/model';
import { outboundCluster } from '../names.ts';
import { mostSpecific } from './host-name.ts';
import type { Destination } from './spec.ts';

/** What routing to one host depends on. */
export interface KnownHost {
  /** Name of the host after following aliases (Kubernetes ExternalName). */
  readonly host: string;
  readonly service: Service | undefined;
  readonly rule: MergedDestinationRule | undefined;
}

/** Destinations of a VirtualService by the host as written there. */
export type KnownHosts = ReadonlyMap<string, KnownHost>;

/** Aliases may point to aliases; a ring must not hang the control plane. */
const MAX_ALIAS_HOPS = 8;

/** The service behind a host: aliases are followed as long as they lead to services of the mesh. */
export function followAlias(scope: Pick<ProxyScope, 'serviceByHost'>, host: string): Service | undefined {
  let service = scope.serviceByHost.get(host);
  for (
    let hop = 0;
    hop < MAX_ALIAS_HOPS && service?.resolution === 'alias' && service.externalName !== undefined;
    hop++
  ) {
    const target = scope.serviceByHost.get(service.externalName.toLowerCase());
    if (target === undefined) {
      return service;
    }
    service = target;
  }
  return service;
}

/** Looks up what routing to `host` needs. Wildcard services (ServiceEntry) also serve the names that they cover. */
export function knownHost(scope: Pick<ProxyScope, 'serviceByHost' | 'destinationRules'>, host: string): KnownHost {
  const service = followAlias(scope, host) ?? mostSpecific(scope.serviceByHost, host);
  const name = service?.hostname ?? host;
  return { host: name, service, rule: mostSpecific(scope.destinationRules, name) };
}

function* destinationsOf(virtualService: VirtualService): Generator<Destination | undefined> {
  for (const route of virtualService.spec.http ?? []) {
    for (const to of route.route ?? []) {
      yield to.destination;
    }
    yield route.mirror;
    for (const mirror of route.mirrors ?? []) {
      yield mirror.destination;
    }
  }
  for (const route of [...(virtualService.spec.tcp ?? []), ...(virtualService.spec.tls ?? [])]) {
    for (const to of route.route ?? []) {
      yield to.destination;
    }
  }
}

const hostsOf = new WeakMap<VirtualService, readonly string[]>();

/** All hosts that a VirtualService sends requests to, without repetition. */
export function destinationHosts(virtualService: VirtualService): readonly string[] {
  let hosts = hostsOf.get(virtualService);
  if (hosts === undefined) {
    const found = new Set<string>();
    for (const destination of destinationsOf(virtualService)) {
      if (destination?.host !== undefined) {
        found.add(destination.host);
      }
    }
    hosts = [...found];
    hostsOf.set(virtualService, hosts);
  }
  return hosts;
}

/** Looks up every destination of a VirtualService. */
export function knownHosts(
  scope: Pick<ProxyScope, 'serviceByHost' | 'destinationRules'>,
  virtualService: VirtualService,
): KnownHosts {
  return new Map(destinationHosts(virtualService).map((host) => [host, knownHost(scope, host)]));
}

/** Where a destination leads. */
export interface ResolvedDestination {
  readonly cluster: string;
  readonly port: number;
  readonly subset: string;
  readonly known: KnownHost | undefined;
}

/**
 * Cluster of a destination. Its port is the one written, else the service's only port, else the port that the client dialled (VirtualService
 * reference, Destination.port). A host that nobody knows gives a cluster that does not exist, so that requests fail with 503.
 */
export function resolveDestination(
  destination: Destination | undefined,
  hosts: KnownHosts,
  dialledPort: number,
): ResolvedDestination {
  const host = destination?.host ?? '';
  const known = hosts.get(host);
  const ports = known?.service?.ports ?? [];
  const only = ports.length === 1 ? ports[0] : undefined;
  const port = destination?.port?.number || only?.number || dialledPort;
  const subset = destination?.subset ?? '';
  return { cluster: outboundCluster(port, subset, known?.host ?? host), port, subset, known };
}
