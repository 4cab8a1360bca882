import {
  type Cell,
  type Collection,
  cell,
  type Equality,
  type Fetch,
  identical,
  sameParts,
} from '@istio-ts/collections';
import { portOfWorkload } from './endpoints.ts';
import { gatewayName, gatewaysFor } from './gateway.ts';
import { type Lease, Leases } from './leases.ts';
import type { Mesh } from './mesh.ts';
import { rootNamespaceOf, trustDomainOf } from './mesh-config.ts';
import type { InboundTarget, MergedDestinationRule, ProxyScope, Service } from './model.ts';
import { NamespaceShare } from './namespace-share.ts';
import { byAge } from './order.ts';
import { effectivePeerAuthentication } from './peer-authentication.ts';
import { policiesFor } from './policies.ts';
import { isHttp } from './protocol.ts';
import { factsKey, type ProxyFacts } from './proxy.ts';
import { selectorMatches } from './selector.ts';
import { serviceKey } from './service.ts';
import { sidecarFor } from './sidecar.ts';
import { keysFor } from './token-keys.ts';
import { visibilityOf, visibleTo } from './visibility.ts';

/** The cells of one class of proxies. */
class ScopeCells {
  readonly result: Cell<ProxyScope>;
  readonly #parts: readonly Cell<unknown>[];
  readonly #after: () => void;

  constructor(result: Cell<ProxyScope>, parts: readonly Cell<unknown>[], after: () => void) {
    this.result = result;
    this.#parts = parts;
    this.#after = after;
  }

  dispose(): void {
    this.result.dispose();
    for (const part of this.#parts) part.dispose();
    this.#after();
  }
}

/**
 * Scopes of the proxies of a mesh, kept up to date incrementally. A scope's parts keep their identity as long as they are equal, and parts that do
 * not depend on the single proxy are shared by all scopes of a namespace or Sidecar.
 */
export class Scopes {
  readonly #mesh: Mesh;
  readonly #namespaces: Leases<NamespaceShare>;
  readonly #scopes = new Leases<ScopeCells>();

  constructor(mesh: Mesh) {
    this.#mesh = mesh;
    this.#namespaces = new Leases();
  }

  /** How many classes of proxies there are. */
  get size(): number {
    return this.#scopes.size;
  }

  /** The scope of proxies with these facts. Release it when the last of them is gone. */
  acquire(facts: ProxyFacts): Lease<{ readonly result: Cell<ProxyScope> }> {
    return this.#scopes.acquire(factsKey(facts), () => this.#makeScope(facts));
  }

  #makeScope(facts: ProxyFacts): ScopeCells {
    const mesh = this.#mesh;
    const { graph } = mesh;
    const { proxy } = facts;
    const namespace = this.#namespaces.acquire(proxy.namespace, () => new NamespaceShare(mesh, proxy.namespace));
    const made: Cell<unknown>[] = [];
    const part = <T>(name: string, compute: (fetch: Fetch) => T, equal?: Equality<T>): Cell<T> => {
      const options = { name: `${name} of ${proxy.namespace}/${proxy.workloadName}`, ...(equal && { equal }) };
      const result = cell(graph, compute, options);
      made.push(result);
      return result;
    };
    const answersDns = proxy.metadata.DNS_CAPTURE === 'true' || proxy.metadata.DNS_CAPTURE === true;
    const root = part('root namespace', (fetch) => rootNamespaceOf(fetch.value(mesh.config)));
    const own = <T>(fetch: Fetch, collection: Collection<readonly T[]>): readonly T[] =>
      [...new Set([fetch.value(root), proxy.namespace])].flatMap((name) => fetch.get(collection, name) ?? []);

    const gateways = part('gateways', (fetch) =>
      proxy.type === 'router'
        ? gatewaysFor(fetch.value(mesh.gateways), proxy, mesh.options.gatewaysSelectOwnNamespaceOnly)
        : [],
    );
    const sidecar = part('Sidecar', (fetch) => ({
      config: proxy.type === 'sidecar' ? sidecarFor(own(fetch, mesh.sidecars), proxy, fetch.value(root)) : undefined,
    }));
    const shared = part(
      'view',
      (fetch) => namespace.value.view(fetch, fetch.value(sidecar).config, answersDns),
      sameParts,
    );
    const headlessAddresses = part('addresses of headless services', (fetch) =>
      proxy.type === 'sidecar'
        ? headlessAddressesOf(fetch.value(shared).services, mesh, fetch)
        : new Map<string, readonly string[]>(),
    );
    const rules = part(
      'DestinationRules',
      (fetch) => namespace.value.rules(fetch, fetch.value(shared), proxy),
      identical,
    );
    const servedVirtualServices = part(
      'VirtualServices',
      (fetch) => {
        const view = fetch.value(shared);
        if (proxy.type !== 'router') return view.virtualServices;
        const names = new Set(fetch.value(gateways).map(gatewayName));
        const exportTo = fetch.value(mesh.config).defaultVirtualServiceExportTo;
        return fetch
          .value(mesh.virtualServices)
          .filter(
            (config) =>
              (config.spec.gateways ?? []).some((name) => names.has(name)) &&
              visibleTo(visibilityOf(config.spec.exportTo, exportTo, config.origin.namespace), proxy.namespace),
          );
      },
      sameParts,
    );
    const served = part('inbound', (fetch) =>
      inboundTargets(
        fetch.get(mesh.selectingServices, proxy.namespace) ?? [],
        facts,
        proxy.type === 'router' && mesh.options.quicListeners,
      ),
    );
    const inbound = part(
      'inbound with limits',
      (fetch) => withRules(fetch.value(served), fetch.value(rules)),
      sameParts,
    );
    const peerAuthentication = part('PeerAuthentication', (fetch) =>
      effectivePeerAuthentication(own(fetch, mesh.peerAuthentications), proxy, fetch.value(root)),
    );
    const requestAuthentications = part('RequestAuthentications', (fetch) =>
      policiesFor(own(fetch, mesh.requestAuthentications), proxy, fetch.value(root)),
    );
    const tokenKeys = part('keys of tokens', (fetch) =>
      keysFor(fetch.value(requestAuthentications), (name) => fetch.get(mesh.tokenKeys, name)),
    );
    const authorizationPolicies = part('AuthorizationPolicies', (fetch) =>
      policiesFor(own(fetch, mesh.authorizationPolicies), proxy, fetch.value(root)),
    );
    const telemetries = part('Telemetries', (fetch) =>
      policiesFor(own(fetch, mesh.telemetries), proxy, fetch.value(root)),
    );
    const wasmPlugins = part('WasmPlugins', (fetch) =>
      policiesFor(own(fetch, mesh.wasmPlugins), proxy, fetch.value(root)),
    );
    const trafficExtensions = part('TrafficExtensions', (fetch) =>
      policiesFor(own(fetch, mesh.trafficExtensions), proxy, fetch.value(root)),
    );
    const envoyFilters = part('EnvoyFilters', (fetch) =>
      policiesFor(own(fetch, mesh.envoyFilters), proxy, fetch.value(root)),
    );
    const autoMutualTls = part(
      'auto mTLS',
      (fetch) => namespace.value.autoMutualTls(fetch, fetch.value(shared)),
      identical,
    );
    const result = cell(
      graph,
      (fetch): ProxyScope => {
        const config = fetch.value(mesh.config);
        const view = fetch.value(shared);
        const headless = fetch.value(headlessAddresses);
        const keys = fetch.value(tokenKeys);
        return {
          proxy,
          mesh: config,
          services: view.services,
          serviceByHost: view.serviceByHost,
          ...(headless.size > 0 && { headlessAddresses: headless }),
          virtualServices: fetch.value(servedVirtualServices),
          destinationRules: fetch.value(rules),
          gateways: fetch.value(gateways),
          inbound: fetch.value(inbound),
          sidecar: fetch.value(sidecar).config,
          peerAuthentication: fetch.value(peerAuthentication),
          requestAuthentications: fetch.value(requestAuthentications),
          ...(keys.size > 0 && { tokenKeys: keys }),
          authorizationPolicies: fetch.value(authorizationPolicies),
          telemetries: fetch.value(telemetries),
          envoyFilters: fetch.value(envoyFilters),
          wasmPlugins: fetch.value(wasmPlugins),
          trafficExtensions: fetch.value(trafficExtensions),
          autoMutualTls: fetch.value(autoMutualTls),
          trustDomain: trustDomainOf(config),
        };
      },
      { name: `scope of ${proxy.namespace}/${proxy.workloadName}`, equal: sameParts },
    );
    return new ScopeCells(result, made, () => namespace.release());
  }
}

const headless = new WeakMap<readonly Service[], readonly Service[]>();

/** Found once for all classes of proxies that see the same services. */
function headlessServices(services: readonly Service[]): readonly Service[] {
  let found = headless.get(services);
  if (found === undefined) {
    found = services.filter(
      (service) => service.headless && !service.ports.every(({ protocol }) => isHttp(protocol) || protocol === 'UDP'),
    );
    headless.set(services, found);
  }
  return found;
}

/** Addresses of the pods of headless services for whose ports connections, not requests, are routed. */
function headlessAddressesOf(
  services: readonly Service[],
  mesh: Mesh,
  fetch: Fetch,
): ReadonlyMap<string, readonly string[]> {
  const result = new Map<string, readonly string[]>();
  for (const service of headlessServices(services)) {
    const pods = fetch.get(mesh.headlessPods, serviceKey(service)) ?? [];
    if (pods.length > 0)
      result.set(
        service.hostname,
        pods.flatMap(({ addresses }) => addresses),
      );
  }
  return result;
}

/** What a workload serves, UDP only where it is asked for (HTTP/3 at gateways): the ports of the services of its namespace that select it, oldest service first. */
function inboundTargets(services: readonly Service[], facts: ProxyFacts, withUdp: boolean): readonly InboundTarget[] {
  const result: InboundTarget[] = [];
  for (const service of [...services].sort(byAge)) {
    if (!service.selector || !selectorMatches(service.selector, facts.proxy.labels)) continue;
    for (const port of service.ports) {
      if (port.protocol === 'UDP' && !withUdp) continue;
      const targetPort = portOfWorkload(port, facts);
      if (targetPort !== undefined) result.push({ service, port, targetPort });
    }
  }
  return result;
}

const withRule = new WeakMap<InboundTarget, WeakMap<MergedDestinationRule, InboundTarget>>();

/** The targets with the DestinationRules that limit connections to their services; the same list where there are none. */
function withRules(
  targets: readonly InboundTarget[],
  rules: ReadonlyMap<string, MergedDestinationRule>,
): readonly InboundTarget[] {
  const limited = targets.map((target) => {
    const rule = rules.get(target.service.hostname);
    if (rule === undefined || !limitsConnections(rule)) return target;
    const known = withRule.get(target) ?? new WeakMap<MergedDestinationRule, InboundTarget>();
    withRule.set(target, known);
    const made = known.get(rule) ?? { ...target, rule };
    known.set(rule, made);
    return made;
  });
  return limited.every((target, i) => target === targets[i]) ? targets : limited;
}

const limitsConnections = ({ spec: { trafficPolicy } }: MergedDestinationRule): boolean =>
  trafficPolicy?.connectionPool !== undefined ||
  (trafficPolicy?.portLevelSettings ?? []).some(({ connectionPool }) => connectionPool !== undefined);
