import { splitEgress } from '@istio-ts/mesh';
import type { Origin, ProxyScope } from '@istio-ts/mesh/model';
import { uniqueOrigins } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { followAlias } from '../route/destination.ts';
import { handlingOf } from '../protocol.ts';
import { unknownTraffic } from '../route/outbound-policy.ts';
import { indexVirtualServices } from '../route/virtual-service-index.ts';
import { INBOUND_PORT, OUTBOUND_PORT, wildcardAddress } from './context.ts';
import {
  addBoundPort,
  addCapturedPort,
  addEgressPort,
  isUnprivileged,
  type Plan,
  type Planning,
  type PlanScope,
  Plans,
} from './plan.ts';

/** All that outgoing listeners of a sidecar are made of, beside what its metrics say of itself. */
export interface OutboundPlans {
  readonly restCluster: string;
  /** Cluster for HTTP requests that nobody claims, where they do not go the way of connections. */
  readonly restRequests: string | undefined;
  readonly wildcard: string;
  readonly plans: readonly { readonly plan: Plan; readonly origins: readonly Origin[] }[];
  /** Equal for plans that give equal listeners. */
  readonly signature: string;
}

function makePlans(scope: PlanScope): OutboundPlans {
  const plans = new Plans();
  const wildcard = wildcardAddress(scope.proxy);
  const tcp = indexVirtualServices(scope.virtualServices, 'mesh', (v) => (v.spec.tcp ?? []).length > 0);
  const tls = indexVirtualServices(scope.virtualServices, 'mesh', (v) => (v.spec.tls ?? []).length > 0);
  // Listeners on the capture ports would take the captured connections away from them.
  const reserved = new Set([
    scope.mesh.proxyListenPort || OUTBOUND_PORT,
    scope.mesh.proxyInboundListenPort || INBOUND_PORT,
  ]);
  const planning: Planning = { scope, plans, tcp, tls, wildcard, loopback: wildcard === '::' ? '::1' : '127.0.0.1' };
  const egress = splitEgress(scope.sidecar, scope.proxy.namespace, scope);
  for (const one of egress.ports) {
    if (!reserved.has(one.listener.port?.number ?? 0)) {
      addEgressPort(planning, one);
    }
  }
  // A port that the Sidecar speaks of is for the services that it names there, and for nothing else.
  for (const { listener } of egress.ports) {
    reserved.add(listener.port?.number ?? 0);
  }
  const addPort = scope.proxy.interceptionMode === 'NONE' ? addBoundPort : addCapturedPort;
  for (const service of egress.rest.services) {
    if (service.resolution === 'alias' && followAlias(scope, service.hostname) !== service) {
      continue;
    }
    for (const port of service.ports) {
      if (!reserved.has(port.number)) {
        addPort(planning, service, port);
      }
    }
  }
  const unknown = unknownTraffic(scope);
  const restCluster = unknown.cluster;
  const restRequests = unknown.requests === restCluster ? undefined : unknown.requests;
  const sidecar = scope.sidecar === undefined ? [] : [scope.sidecar.origin];
  const result: { plan: Plan; origins: readonly Origin[] }[] = [];
  const signature: unknown[] = [restCluster, restRequests];
  for (const plan of plans.all()) {
    if (plan.http === undefined && plan.tcp.length === 0) {
      continue;
    }
    const origins = uniqueOrigins([...plan.origins, ...plan.tcp.flatMap((r) => r.origins), ...sidecar]);
    result.push({ plan, origins });
    signature.push(
      plan.address,
      plan.port,
      plan.bound,
      plan.http,
      plan.sniffed,
      plan.wire,
      ...plan.tcp.map(({ match, targets, limits }) => [match, targets, limits]),
      origins.map(({ kind, namespace, name }) => `${kind}/${namespace}/${name}`),
    );
  }
  return { restCluster, restRequests, wildcard, plans: result, signature: JSON.stringify(signature) };
}

const usesSourceLabels = memoByInputs(
  (virtualServices: ProxyScope['virtualServices']) => [virtualServices],
  (virtualServices) =>
    virtualServices.some(({ spec }) =>
      [...(spec.tcp ?? []), ...(spec.tls ?? [])].some((route) =>
        (route.match ?? []).some((match) => Object.keys(match.sourceLabels ?? {}).length > 0),
      ),
    ),
);

const addressTexts = new WeakMap<object, string>();
function addressText(addresses: ProxyScope['headlessAddresses']): string | undefined {
  if (addresses === undefined) {
    return undefined;
  }
  let text = addressTexts.get(addresses);
  if (text === undefined) {
    text = JSON.stringify([...addresses]);
    addressTexts.set(addresses, text);
  }
  return text;
}

/** The client's part of what plans depend on, as text. */
const clientOf = (scope: PlanScope): string =>
  JSON.stringify([
    // Without those nothing looks at it, and clients of all namespaces share their plans.
    scope.virtualServices.length > 0 || scope.sidecar !== undefined ? scope.proxy.namespace : undefined,
    usesSourceLabels(scope.virtualServices) ? Object.entries(scope.proxy.labels).sort() : undefined,
    scope.proxy.ipAddresses,
    addressText(scope.headlessAddresses),
    scope.proxy.interceptionMode === 'NONE' ? isUnprivileged(scope) : 'captured',
    scope.sidecar && [scope.sidecar.origin.namespace, scope.sidecar.origin.name],
  ]);

/** The plans that stand for all equal ones of a kind of clients, so that a change that touches no listener stops here. */
const lastPlans = new WeakMap<ProxyScope['mesh'], Map<string, readonly OutboundPlans[]>>();
/** Views of the mesh of one kind of clients. */
const MAX_VIEWS = 4;
const MAX_CLIENTS = 2000;

const MAX_LISTS = 32;
let listsOfConnections: readonly PlanScope['virtualServices'][] = [];

/** VirtualServices that route connections; the identical list while none of these changes, whatever happens to those that route requests. */
const routingConnections = memoByInputs(
  (virtualServices: PlanScope['virtualServices']) => [virtualServices],
  (virtualServices): PlanScope['virtualServices'] => {
    const found = virtualServices.filter(({ spec }) => (spec.tcp ?? []).length > 0 || (spec.tls ?? []).length > 0);
    const known = listsOfConnections.find(
      (list) => list.length === found.length && list.every((item, i) => item === found[i]),
    );
    if (known !== undefined) {
      return known;
    }
    listsOfConnections = [found, ...listsOfConnections.slice(0, MAX_LISTS - 1)];
    return found;
  },
);

/** Hosts of the services to which there are connections that are not just HTTP. */
const connectionHosts = memoByInputs(
  (services: PlanScope['services']) => [services],
  (services): ReadonlySet<string> =>
    new Set(
      services
        .filter(({ ports }) => ports.some(({ protocol }) => !['http', 'ignore'].includes(handlingOf(protocol))))
        .map(({ hostname }) => hostname),
    ),
);

type Rules = PlanScope['destinationRules'];
const noRules: Rules = new Map();
const ruleMaps = new WeakMap<PlanScope['services'], WeakRef<Rules>[]>();

/** Rules for services to which there are connections that are not just HTTP; the identical map while none of these changes. */
const rulesOfConnections = memoByInputs(
  ({ destinationRules, services }: Pick<PlanScope, 'destinationRules' | 'services'>) => [destinationRules, services],
  ({ destinationRules, services }): Rules => {
    const hosts = connectionHosts(services);
    const found: Rules = new Map([...destinationRules].filter(([host]) => hosts.has(host)));
    if (found.size === 0) {
      return noRules;
    }
    const known = (ruleMaps.get(services) ?? []).filter((one) => one.deref() !== undefined);
    for (const reference of known) {
      const one = reference.deref();
      if (one?.size === found.size && [...found].every(([host, rule]) => one.get(host) === rule)) {
        return one;
      }
    }
    ruleMaps.set(services, [new WeakRef(found), ...known.slice(0, MAX_LISTS - 1)]);
    return found;
  },
);

/** What of a scope its plans depend on, so that changes of anything else stop here. */
function narrowed(scope: PlanScope): PlanScope {
  const { mesh, services, serviceByHost, headlessAddresses, sidecar, proxy } = scope;
  const virtualServices = routingConnections(scope.virtualServices);
  // A VirtualService or a Sidecar may lead connections to any service.
  const isPlain = virtualServices.length === 0 && sidecar === undefined;
  return {
    mesh,
    services,
    serviceByHost,
    ...(headlessAddresses !== undefined && { headlessAddresses }),
    virtualServices,
    destinationRules: isPlain ? rulesOfConnections(scope) : scope.destinationRules,
    sidecar,
    proxy,
  };
}

/** The plans of a sidecar; the identical value for all that see the same. */
export const outboundPlans = (scope: PlanScope): OutboundPlans => plansOf(narrowed(scope));

const plansOf = memoByInputs(
  (scope: PlanScope) => [
    scope.services,
    scope.serviceByHost,
    scope.virtualServices,
    scope.destinationRules,
    scope.mesh,
    scope.sidecar,
    clientOf(scope),
  ],
  (scope): OutboundPlans => {
    const made = makePlans(scope);
    const byClient = lastPlans.get(scope.mesh) ?? new Map<string, readonly OutboundPlans[]>();
    lastPlans.set(scope.mesh, byClient);
    const client = clientOf(scope);
    const last = byClient.get(client) ?? [];
    const same = last.find(({ signature }) => signature === made.signature);
    if (same !== undefined) {
      return same;
    }
    if (byClient.size >= MAX_CLIENTS) {
      byClient.clear();
    }
    byClient.set(client, [made, ...last.slice(0, MAX_VIEWS - 1)]);
    return made;
  },
);
