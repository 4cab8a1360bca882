import type { VirtualServiceSpec } from '@istio-ts/api';
import { mergeMatches } from './delegate-match.ts';
import { resolveHost } from './host.ts';
import type { Config, Origin, VirtualService } from './model.ts';
import { visibilityOf, visibleTo } from './visibility.ts';

type HttpRoute = NonNullable<VirtualServiceSpec['http']>[number];
type Destination = NonNullable<NonNullable<HttpRoute['route']>[number]['destination']>;

/** The gateway name that stands for every sidecar. */
export const meshGateway = 'mesh';

/**
 * A VirtualService as the generators see it: hosts and destinations fully qualified, gateways as `mesh` or `namespace/name`, delegates put in
 * place. Undefined for one without hosts: that is a delegate and takes effect only through the VirtualService that names it.
 */
export function resolveVirtualService(
  config: Config<VirtualServiceSpec>,
  delegateOf: (namespace: string, name: string) => Config<VirtualServiceSpec> | undefined,
  domainSuffix: string,
  defaultExportTo: readonly string[] | undefined,
): VirtualService | undefined {
  const { namespace } = config.origin;
  const { spec } = config;
  if (!spec.hosts?.length) return undefined;
  const names = new Names(namespace, domainSuffix);
  // A delegate has to be exported to the namespace of the VirtualService that names it.
  const visibleDelegate: typeof delegateOf = (from, name) => {
    const delegate = delegateOf(from, name);
    return delegate && visibleTo(visibilityOf(delegate.spec.exportTo, defaultExportTo, from), namespace)
      ? delegate
      : undefined;
  };
  const delegates = delegatesOf(spec, namespace, visibleDelegate);
  return {
    ...config,
    ...(delegates.length > 0 && { delegates }),
    spec: {
      ...spec,
      hosts: spec.hosts.map((host) => names.host(host)),
      gateways: spec.gateways?.length ? spec.gateways.map((gateway) => names.gateway(gateway)) : [meshGateway],
      ...(spec.http && {
        http: spec.http.flatMap((route) => resolveHttp(route, namespace, names, visibleDelegate, domainSuffix)),
      }),
      ...(spec.tcp && {
        tcp: spec.tcp.map((route) => ({
          ...route,
          ...(route.match && { match: route.match.map((match) => names.match(match)) }),
          ...(route.route && { route: route.route.map((to) => names.weighted(to)) }),
        })),
      }),
      ...(spec.tls && {
        tls: spec.tls.map((route) => ({
          ...route,
          ...(route.match && { match: route.match.map((match) => names.match(match)) }),
          ...(route.route && { route: route.route.map((to) => names.weighted(to)) }),
        })),
      }),
    },
  };
}

/** Names as an object of one namespace means them. */
class Names {
  readonly #namespace: string;
  readonly #domainSuffix: string;

  constructor(namespace: string, domainSuffix: string) {
    this.#namespace = namespace;
    this.#domainSuffix = domainSuffix;
  }

  host(host: string): string {
    return resolveHost(host, this.#namespace, this.#domainSuffix);
  }

  gateway(gateway: string): string {
    if (gateway === meshGateway) return gateway;
    const slash = gateway.indexOf('/');
    if (slash < 0) return `${this.#namespace}/${gateway}`;
    return gateway.startsWith('./') ? `${this.#namespace}/${gateway.slice(2)}` : gateway;
  }

  destination(destination: Destination): Destination {
    return { ...destination, host: this.host(destination.host ?? '') };
  }

  weighted<T extends { readonly destination?: Destination }>(to: T): T {
    return to.destination ? { ...to, destination: this.destination(to.destination) } : to;
  }

  match<T extends { readonly gateways?: readonly string[] }>(match: T): T {
    return match.gateways?.length
      ? { ...match, gateways: match.gateways.map((gateway) => this.gateway(gateway)) }
      : match;
  }

  http(route: HttpRoute): HttpRoute {
    return {
      ...route,
      ...(route.match && { match: route.match.map((match) => this.match(match)) }),
      ...(route.route && { route: route.route.map((to) => this.weighted(to)) }),
      ...(route.mirror && { mirror: this.destination(route.mirror) }),
      ...(route.mirrors && { mirrors: route.mirrors.map((mirror) => this.weighted(mirror)) }),
    };
  }
}

/** The delegates that have a part in the routes. */
function delegatesOf(
  spec: VirtualServiceSpec,
  namespace: string,
  delegateOf: (namespace: string, name: string) => Config<VirtualServiceSpec> | undefined,
): readonly Origin[] {
  const found = (spec.http ?? []).flatMap(({ delegate }) => {
    const config = delegate && delegateOf(delegate.namespace || namespace, delegate.name ?? '');
    return config && !config.spec.hosts?.length ? [config.origin] : [];
  });
  return [...new Set(found)];
}

function resolveHttp(
  route: HttpRoute,
  namespace: string,
  names: Names,
  delegateOf: (namespace: string, name: string) => Config<VirtualServiceSpec> | undefined,
  domainSuffix: string,
): readonly HttpRoute[] {
  const own = names.http(route);
  if (!route.delegate) return [own];
  const from = route.delegate.namespace || namespace;
  const delegate = delegateOf(from, route.delegate.name ?? '');
  // A VirtualService with hosts of its own is no delegate; one level of delegation only (Istio documentation, `Delegate`).
  if (!delegate || delegate.spec.hosts?.length) return [];
  const delegateNames = new Names(from, domainSuffix);
  return (delegate.spec.http ?? []).flatMap((inner) => {
    if (inner.delegate) return [];
    const merged = mergeRoutes(own, delegateNames.http(inner));
    return merged ? [merged] : [];
  });
}

/**
 * A delegate's route under its root: matches are combined, and what the delegate leaves out comes from the root. Undefined when it asks for
 * requests that the root does not hand to it.
 */
function mergeRoutes(root: HttpRoute, delegate: HttpRoute): HttpRoute | undefined {
  const match = mergeMatches(root.match ?? [], delegate.match ?? []);
  if (match === undefined) return undefined;
  const { delegate: _reference, ...inherited } = root;
  const name = root.name && delegate.name ? `${root.name}-${delegate.name}` : (delegate.name ?? root.name);
  return { ...inherited, ...delegate, ...(name !== undefined && { name }), match };
}

/** Hosts of every destination that a VirtualService sends to, without its own conditions. */
export function destinationHosts(spec: VirtualServiceSpec): ReadonlySet<string> {
  const hosts = new Set<string>();
  const add = (host: string | undefined): void => {
    if (host) hosts.add(host);
  };
  for (const route of spec.http ?? []) {
    for (const to of route.route ?? []) add(to.destination?.host);
    add(route.mirror?.host);
    for (const mirror of route.mirrors ?? []) add(mirror.destination?.host);
  }
  for (const route of [...(spec.tcp ?? []), ...(spec.tls ?? [])])
    for (const to of route.route ?? []) add(to.destination?.host);
  return hosts;
}
