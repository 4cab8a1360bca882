import type { SidecarSpec } from '@istio-ts/api';
import { type Cell, cell, type Fetch, sameParts, structurallyEqual } from '@istio-ts/collections';
import { lookUpRule, type NamespaceRules, type RuleClient } from './destination-rule.ts';
import { withAutoAddresses } from './auto-addresses.ts';
import { hostCovers, isWildcard } from './host.ts';
import type { Mesh } from './mesh.ts';
import { rootNamespaceOf } from './mesh-config.ts';
import type { Config, MergedDestinationRule, Service, VirtualService } from './model.ts';
import { applySidecar } from './sidecar.ts';
import { meshGateway } from './virtual-service.ts';
import { visibilityOf, visibleTo } from './visibility.ts';

/** What a workload may send to. `virtualServices` are those for sidecars. */
export interface OutboundView {
  /** Name of the Sidecar through which it is seen, or ''. */
  readonly name: string;
  /** One for each host, oldest first. */
  readonly services: readonly Service[];
  readonly serviceByHost: ReadonlyMap<string, Service>;
  readonly virtualServices: readonly VirtualService[];
}

interface Remembered<T> {
  readonly inputs: readonly unknown[];
  readonly value: T;
}

/**
 * What the proxies of a namespace have in common, so that it is computed once and is one and the same object in all their scopes: what they may
 * see, as a whole and through each Sidecar, and the DestinationRules for that.
 */
export class NamespaceShare {
  readonly #mesh: Mesh;
  readonly #namespace: string;
  readonly #whole: Cell<OutboundView>;
  /** The same for proxies whose agent answers DNS. */
  readonly #wholeWithDns: Cell<OutboundView>;
  readonly #dependencies: readonly Cell<unknown>[];
  readonly #remembered = new Map<string, Remembered<unknown>>();

  constructor(mesh: Mesh, namespace: string) {
    this.#mesh = mesh;
    this.#namespace = namespace;
    const services = cell(mesh.graph, (fetch) => visibleServices(fetch.value(mesh.servicesByAge), namespace), {
      name: `services visible to ${namespace}`,
    });
    const virtualServices = cell(mesh.graph, (fetch) => meshVirtualServices(mesh, namespace, services, fetch), {
      name: `VirtualServices visible to ${namespace}`,
    });
    this.#whole = cell(
      mesh.graph,
      (fetch) => {
        const visible = fetch.value(services);
        const serviceByHost = hostMap(visible);
        return { name: '', services: visible, serviceByHost, virtualServices: fetch.value(virtualServices) };
      },
      { name: `view of ${namespace}`, equal: sameParts },
    );
    this.#wholeWithDns = cell(
      mesh.graph,
      (fetch) => {
        const whole = fetch.value(this.#whole);
        if (!whole.services.some((service) => service.autoAddresses)) return whole;
        const seen = this.#remember('services with DNS', [whole.services], () => whole.services.map(withAutoAddresses));
        const serviceByHost = hostMap(seen);
        return { ...whole, name: 'with DNS', services: seen, serviceByHost };
      },
      { name: `view of ${namespace} with DNS`, equal: sameParts },
    );
    this.#dependencies = [services, virtualServices, this.#wholeWithDns];
  }

  /** What a workload of the namespace sees, through its Sidecar where it has one. */
  view(fetch: Fetch, sidecar: Config<SidecarSpec> | undefined, answersDns = false): OutboundView {
    const whole = fetch.value(answersDns ? this.#wholeWithDns : this.#whole);
    if (!sidecar?.spec.egress?.length) return whole;
    const key = `${sidecar.origin.namespace}/${sidecar.origin.name}${answersDns ? ' with DNS' : ''}`;
    return this.#remember(`view ${key}`, [whole, sidecar], () => {
      const applied = applySidecar(sidecar, this.#namespace, whole.services, whole.virtualServices);
      const services = this.#remember(`services ${key}`, [applied.services], () => applied.services);
      return {
        name: key,
        services,
        serviceByHost: hostMap(services),
        virtualServices: this.#remember(
          `virtual services ${key}`,
          [applied.virtualServices],
          () => applied.virtualServices,
        ),
      };
    });
  }

  /** The DestinationRules for what a client sees, by host. */
  rules(fetch: Fetch, view: OutboundView, client: RuleClient): ReadonlyMap<string, MergedDestinationRule> {
    const rootNamespace = rootNamespaceOf(fetch.value(this.#mesh.config));
    const all = fetch.all(this.#mesh.destinationRules);
    const labels = hasSelectors(all.get(client.namespace)) ? JSON.stringify(Object.entries(client.labels).sort()) : '';
    const inputs = [view.services, all, rootNamespace];
    return this.#remember(`rules ${view.name} ${labels}`, inputs, () => {
      const result = new Map<string, MergedDestinationRule>();
      for (const service of servicesWithRules(view, all)) {
        const rule = lookUpRule((namespace) => all.get(namespace), client, service, rootNamespace);
        if (rule) result.set(service.hostname, rule);
      }
      return oneOfEqual(view.services, result);
    });
  }

  /** Whether a sidecar may use mutual TLS by itself to a host of this view. */
  autoMutualTls(fetch: Fetch, view: OutboundView): (hostname: string, port: number) => boolean {
    const enabled = fetch.value(this.#mesh.config).enableAutoMtls !== false;
    const { serviceByHost } = view;
    return enabled ? automatically(serviceByHost) : never;
  }

  dispose(): void {
    this.#whole.dispose();
    for (const one of this.#dependencies) one.dispose();
  }

  /** The result for the same inputs as last time, by identity; and where new inputs give an equal result, the old one. */
  #remember<T>(name: string, inputs: readonly unknown[], compute: () => T): T {
    const last = this.#remembered.get(name) as Remembered<T> | undefined;
    if (last && last.inputs.length === inputs.length && last.inputs.every((input, i) => input === inputs[i]))
      return last.value;
    const computed = compute();
    const value = last && structurallyEqual(last.value, computed) ? last.value : computed;
    this.#remembered.set(name, { inputs, value });
    return value;
  }
}

/**
 * Services that a namespace may see. Where several namespaces define a host, its own definition comes first, then that of a Kubernetes Service,
 * then the oldest.
 */
function visibleServices(all: readonly Service[], namespace: string): readonly Service[] {
  const byHost = new Map<string, Service>();
  const preference = (service: Service): number =>
    (service.namespace === namespace ? 2 : 0) + (service.registry === 'Kubernetes' ? 1 : 0);
  for (const service of all) {
    if (!visibleTo(service.exportTo, namespace)) continue;
    const present = byHost.get(service.hostname);
    if (!present || preference(service) > preference(present)) byHost.set(service.hostname, service);
  }
  // Where a namespace sees everything, it sees the one list that all such namespaces see.
  return byHost.size === all.length ? all : all.filter((service) => byHost.get(service.hostname) === service);
}

const never = (): boolean => false;
const decisions = new WeakMap<ReadonlyMap<string, Service>, (hostname: string) => boolean>();

function automatically(serviceByHost: ReadonlyMap<string, Service>): (hostname: string) => boolean {
  let decide = decisions.get(serviceByHost);
  if (decide === undefined) {
    decide = (hostname) => serviceByHost.get(hostname)?.meshExternal !== true;
    decisions.set(serviceByHost, decide);
  }
  return decide;
}

/** Services that a rule may speak of; most meshes have few rules with wildcards, and then only the hosts that the rules name come into question. */
function* servicesWithRules(view: OutboundView, all: ReadonlyMap<string, NamespaceRules>): Iterable<Service> {
  if ([...all.values()].some(({ wildcards }) => wildcards.length > 0)) {
    yield* view.services;
    return;
  }
  const hosts = new Set([...all.values()].flatMap(({ exact }) => [...exact.keys()]));
  for (const host of [...hosts].sort()) {
    const service = view.serviceByHost.get(host);
    if (service) yield service;
  }
}

type RuleMap = ReadonlyMap<string, MergedDestinationRule>;

/** Held weakly: all that was made of the rules before a change goes when the last scope of them does. */
const ruleMaps = new WeakMap<readonly Service[], WeakRef<RuleMap>[]>();
const MAX_RULE_MAPS = 32;

/** Namespaces for which the same rules hold share one map of them. */
function oneOfEqual(services: readonly Service[], rules: RuleMap): RuleMap {
  const known = (ruleMaps.get(services) ?? []).filter((one) => one.deref() !== undefined);
  for (const reference of known) {
    const one = reference.deref();
    if (one?.size === rules.size && [...rules].every(([host, rule]) => one.get(host) === rule)) return one;
  }
  ruleMaps.set(services, [new WeakRef(rules), ...known.slice(0, MAX_RULE_MAPS - 1)]);
  return rules;
}

/**
 * Whether a VirtualService claims the host of a service of another namespace, so that it could take that one's traffic over. `services` are those that the
 * clients see, one for each host: a ServiceEntry for a host that is already another's does not make the host one's own.
 */
function claimsForeignHost({ origin, spec }: VirtualService, services: readonly Service[]): boolean {
  return (spec.hosts ?? []).some((host) => {
    if (isWildcard(host))
      return services.some(({ namespace, hostname }) => namespace !== origin.namespace && hostCovers(host, hostname));
    const service = hostMap(services).get(host);
    return service !== undefined && service.namespace !== origin.namespace;
  });
}

function meshVirtualServices(
  mesh: Mesh,
  namespace: string,
  services: Cell<readonly Service[]>,
  fetch: Fetch,
): readonly VirtualService[] {
  const exportTo = fetch.value(mesh.config).defaultVirtualServiceExportTo;
  const all = fetch.value(mesh.virtualServices);
  const visible = all.filter(
    (config) =>
      (config.spec.gateways ?? [meshGateway]).includes(meshGateway) &&
      visibleTo(visibilityOf(config.spec.exportTo, exportTo, config.origin.namespace), namespace) &&
      !(
        mesh.options.forbidsForeignHosts &&
        config.origin.namespace !== namespace &&
        config.origin.namespace !== rootNamespaceOf(fetch.value(mesh.config)) &&
        claimsForeignHost(config, fetch.value(services))
      ),
  );
  return visible.length === all.length ? all : visible;
}

const hostMaps = new WeakMap<readonly Service[], ReadonlyMap<string, Service>>();

/** One map for each list of services, so that all who see the list have the same one. */
function hostMap(services: readonly Service[]): ReadonlyMap<string, Service> {
  let map = hostMaps.get(services);
  if (map === undefined) {
    map = new Map(services.map((service) => [service.hostname, service]));
    hostMaps.set(services, map);
  }
  return map;
}

const withSelectors = new WeakMap<NamespaceRules, boolean>();

function hasSelectors(rules: NamespaceRules | undefined): boolean {
  if (rules === undefined) return false;
  let has = withSelectors.get(rules);
  if (has === undefined) {
    has =
      rules.wildcards.some((group) => group.selector !== undefined) ||
      [...rules.exact.values()].some((groups) => groups.some((group) => group.selector !== undefined));
    withSelectors.set(rules, has);
  }
  return has;
}
