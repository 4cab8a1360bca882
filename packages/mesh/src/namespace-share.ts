import type { SidecarSpec } from '@istio-ts/api';
import { type Cell, cell, type Fetch, structurallyEqual } from '@istio-ts/collections';
import { lookUpRule, type NamespaceRules, type RuleClient } from './destination-rule.ts';
import { withAutoAddresses } from './auto-addresses.ts';
import { type Mesh, rootNamespaceOf } from './mesh.ts';
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
    const virtualServices = cell(mesh.graph, (fetch) => meshVirtualServices(mesh, namespace, fetch), {
      name: `VirtualServices visible to ${namespace}`,
    });
    this.#whole = cell(
      mesh.graph,
      (fetch) => {
        const visible = fetch.value(services);
        const serviceByHost = this.#remember('hosts', [visible], () => hostMap(visible));
        return { name: '', services: visible, serviceByHost, virtualServices: fetch.value(virtualServices) };
      },
      { name: `view of ${namespace}` },
    );
    this.#wholeWithDns = cell(
      mesh.graph,
      (fetch) => {
        const whole = fetch.value(this.#whole);
        if (!whole.services.some((service) => service.autoAddresses)) return whole;
        const seen = this.#remember('services with DNS', [whole.services], () => whole.services.map(withAutoAddresses));
        const serviceByHost = this.#remember('hosts with DNS', [seen], () => hostMap(seen));
        return { ...whole, name: 'with DNS', services: seen, serviceByHost };
      },
      { name: `view of ${namespace} with DNS` },
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
        serviceByHost: this.#remember(`hosts ${key}`, [services], () => hostMap(services)),
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
      for (const service of view.services) {
        const rule = lookUpRule((namespace) => all.get(namespace), client, service, rootNamespace);
        if (rule) result.set(service.hostname, rule);
      }
      return result;
    });
  }

  /** Whether a sidecar may use mutual TLS by itself to a host of this view. */
  autoMutualTls(fetch: Fetch, view: OutboundView): (hostname: string, port: number) => boolean {
    const enabled = fetch.value(this.#mesh.config).enableAutoMtls !== false;
    const { serviceByHost } = view;
    return this.#remember(`auto mTLS ${view.name}`, [serviceByHost, enabled], () => (hostname: string) => {
      return enabled && serviceByHost.get(hostname)?.meshExternal !== true;
    });
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
  return all.filter((service) => byHost.get(service.hostname) === service);
}

function meshVirtualServices(mesh: Mesh, namespace: string, fetch: Fetch): readonly VirtualService[] {
  const exportTo = fetch.value(mesh.config).defaultVirtualServiceExportTo;
  return fetch
    .value(mesh.virtualServices)
    .filter(
      (config) =>
        (config.spec.gateways ?? [meshGateway]).includes(meshGateway) &&
        visibleTo(visibilityOf(config.spec.exportTo, exportTo, config.origin.namespace), namespace),
    );
}

const hostMap = (services: readonly Service[]): ReadonlyMap<string, Service> =>
  new Map(services.map((service) => [service.hostname, service]));

const hasSelectors = (rules: NamespaceRules | undefined): boolean =>
  rules !== undefined &&
  (rules.wildcards.some((group) => group.selector !== undefined) ||
    [...rules.exact.values()].some((groups) => groups.some((group) => group.selector !== undefined)));
