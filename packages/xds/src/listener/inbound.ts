import type { FilterChain, Listener, RouteConfiguration, RouteRetryPolicy } from '@istio-ts/envoy';
import { wireOf } from '../filter/wire-protocol.ts';
import { parseProtocol } from '@istio-ts/mesh';
import type { InboundTarget, MutualTlsMode, Origin, ProxyScope, ScopedProxy } from '@istio-ts/mesh/model';
import { clientsPool } from '../cluster/inbound.ts';
import { type InboundPolicies, inboundPolicies } from '../filter/policies.ts';
import { tcpProxy } from '../filter/tcp-proxy.ts';
import { type Generated, uniqueOrigins } from '../generated.ts';
import { lazilyGenerated } from '../lazy-message.ts';
import { memoByInputs } from '../memo.ts';
import { BLACKHOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, inboundCluster } from '../names.ts';
import { handlingOf, insideTls } from '../protocol.ts';
import { timeouts } from '../route/action.ts';
import { listenerAccessLog, tcpAccessLog } from '../telemetry/access-log.ts';
import {
  accepting,
  contextInputs,
  detectionTimeout,
  INBOUND_PORT,
  type ListenerContext,
  listeningOn,
  wildcardAddress,
} from './context.ts';
import { httpInspector, ORIGINAL_DST, ORIGINAL_SRC, tlsInspector } from './listener-filter.ts';
import { type Destination, inboundChains } from './inbound-chains.ts';
import { sidecarTls } from '../gateway/tls.ts';
import { connectionLimits } from './connection-limits.ts';

/** A request that the application cannot have seen, because it closed the connection before, is sent again (Istio 1.24, inbound retries). */
const UNSEEN_BY_APPLICATION: RouteRetryPolicy = { retryOn: 'reset-before-request', numRetries: 2 };

function routes(name: string, hostName: string, cluster: string, operation: string | undefined): RouteConfiguration {
  return {
    name,
    virtualHosts: [
      {
        name: hostName,
        domains: ['*'],
        routes: [
          {
            name: 'default',
            match: { prefix: '/' },
            route: { cluster, ...timeouts(undefined), retryPolicy: UNSEEN_BY_APPLICATION },
            ...(operation !== undefined ? { decorator: { operation } } : {}),
          },
        ],
      },
    ],
    validateClusters: false,
  };
}

function declared(input: InboundInput, target: InboundTarget, mode: MutualTlsMode): Destination | undefined {
  const wildcard = wildcardAddress(input.context.proxy);
  const handling = handlingOf(target.port.protocol);
  if (handling === 'ignore') {
    return undefined;
  }
  const port = target.targetPort;
  const name = `${wildcard}_${port}`;
  return {
    port,
    handling,
    mode,
    cluster: inboundCluster(port),
    wire: wireOf(target.port.protocol, inboundCluster(port)),
    chainNames: { http: name, tcp: name },
    statPrefix: `inbound_${name};`,
    routes: routes(
      inboundCluster(port),
      `inbound|http|${target.port.number}`,
      inboundCluster(port),
      `${target.service.hostname}:${target.port.number}/*`,
    ),
    limits: connectionLimits(
      input.sidecar?.spec.inboundConnectionPool ?? clientsPool(target, input.context.mesh),
      input.context.proxy,
    ),
  };
}

/** A port that a Sidecar declares; with any, the services' ports do not count (Sidecar reference, ingress). */
function ingressDestination(
  { context, sidecar, targets }: InboundInput,
  ingress: SidecarIngress,
  mode: MutualTlsMode,
): Destination | undefined {
  const port = ingress.port?.number;
  const { tls } = ingress;
  const declared = parseProtocol(ingress.port?.protocol ?? '') ?? 'Auto';
  const protocol = tls === undefined ? declared : insideTls(declared);
  const handling = handlingOf(protocol);
  if (port === undefined || handling === 'ignore') {
    return undefined;
  }
  const name = `${wildcardAddress(context.proxy)}_${port}`;
  const target = targets.find((one) => one.targetPort === port || one.port.number === port);
  return {
    port,
    handling,
    mode,
    cluster: inboundCluster(port),
    wire: wireOf(protocol, inboundCluster(port)),
    chainNames: { http: name, tcp: name },
    statPrefix: `inbound_${name};`,
    routes: routes(inboundCluster(port), `inbound|http|${port}`, inboundCluster(port), undefined),
    limits: connectionLimits(
      ingress.connectionPool ?? sidecar?.spec.inboundConnectionPool ?? clientsPool(target, context.mesh),
      context.proxy,
    ),
    ownTls: tls && sidecarTls(tls, handling !== 'tcp', context.mesh, context.trustDomain),
  };
}

/** Whether connections to an ingress listener are redirected to the proxy, else it is bound itself. */
const isCaptured = (proxy: ScopedProxy, { captureMode, bind }: SidecarIngress): boolean =>
  proxy.interceptionMode !== 'NONE' && captureMode !== 'NONE' && bind?.startsWith('unix://') !== true;

/** A listener of its own for a port of a Sidecar, on the address that it names, else on that of the workload. */
function boundListener(input: InboundInput, ingress: SidecarIngress, mode: MutualTlsMode): Listener | undefined {
  const { context, policies } = input;
  const { proxy, mesh } = context;
  const to = ingressDestination(input, ingress, mode);
  if (to?.port === undefined) {
    return undefined;
  }
  const socket = ingress.bind?.startsWith('unix://') === true ? ingress.bind.slice('unix://'.length) : undefined;
  const address = socket ?? (ingress.bind || proxy.ipAddresses[0] || wildcardAddress(proxy));
  return {
    name: `${address}_${to.port}`,
    ...listeningOn(address, socket === undefined ? to.port : 0),
    trafficDirection: 'INBOUND',
    filterChains: inboundChains({ context, policies }, { ...to, port: undefined }),
    listenerFilters: [
      ...(to.mode === 'DISABLE' && to.handling === 'tcp' && to.ownTls === undefined ? [] : [tlsInspector()]),
      ...(to.handling === 'tcp' ? [] : [httpInspector()]),
    ],
    listenerFiltersTimeout: detectionTimeout(mesh),
    continueOnListenerFiltersTimeout: true,
    ...accepting(proxy),
    accessLog: listenerAccessLog(context, 'inbound'),
  };
}

/** The listeners of the ports of a workload's Sidecar that are bound. */
const boundListeners = memoByInputs(
  ({ context, targets, sidecar, peerAuthentication, policies }: InboundInput) =>
    [...contextInputs(context), targets, sidecar, peerAuthentication, policies] as [object, ...unknown[]],
  (input): readonly Generated<Listener>[] => {
    const { peerAuthentication, policies, sidecar, context } = input;
    const origins = uniqueOrigins([
      ...(sidecar === undefined ? [] : [sidecar.origin]),
      ...peerAuthentication.origins,
      ...policies.origins,
    ]);
    const names = new Set<string>();
    return (sidecar?.spec.ingress ?? []).flatMap((ingress) => {
      if (isCaptured(context.proxy, ingress)) {
        return [];
      }
      const port = ingress.port?.number ?? 0;
      const resource = boundListener(input, ingress, peerAuthentication.portModes.get(port) ?? peerAuthentication.mode);
      if (resource?.name === undefined || names.has(resource.name)) {
        return [];
      }
      names.add(resource.name);
      return [{ resource, origins }];
    });
  },
);

function undeclared(port: number | undefined, mode: MutualTlsMode): Destination {
  return {
    port,
    handling: 'sniff',
    mode,
    cluster: INBOUND_PASSTHROUGH_CLUSTER,
    chainNames: { http: 'virtualInbound-catchall-http', tcp: 'virtualInbound' },
    statPrefix: INBOUND_PASSTHROUGH_CLUSTER,
    routes: routes(INBOUND_PASSTHROUGH_CLUSTER, 'inbound|http|0', INBOUND_PASSTHROUGH_CLUSTER, undefined),
  };
}

/** Connections to the capture port itself, not redirected there: nobody to forward to. */
function blackhole(context: ListenerContext, port: number): FilterChain {
  return {
    name: 'virtualInbound-blackhole',
    filterChainMatch: { destinationPort: port },
    filters: [
      tcpProxy({ targets: [{ cluster: BLACKHOLE_CLUSTER, weight: 1 }], accessLog: tcpAccessLog(context, 'inbound') }),
    ],
  };
}

type SidecarIngress = NonNullable<NonNullable<ProxyScope['sidecar']>['spec']['ingress']>[number];

interface InboundInput {
  readonly context: ListenerContext;
  readonly targets: ProxyScope['inbound'];
  readonly sidecar: ProxyScope['sidecar'];
  readonly peerAuthentication: ProxyScope['peerAuthentication'];
  readonly policies: InboundPolicies;
}

const listener = memoByInputs(
  ({ context, targets, sidecar, peerAuthentication, policies }: InboundInput) =>
    [...contextInputs(context), targets, sidecar, peerAuthentication, policies] as [object, ...unknown[]],
  (input) => lazilyGenerated(() => buildListener(input)),
);

function buildListener(input: InboundInput): Generated<Listener> {
  const { context, targets, sidecar, peerAuthentication, policies } = input;
  const { proxy, mesh } = context;
  const wildcard = wildcardAddress(proxy);
  const port = mesh.proxyInboundListenPort || INBOUND_PORT;
  const modeOf = (p: number): MutualTlsMode => peerAuthentication.portModes.get(p) ?? peerAuthentication.mode;
  const destinations: Destination[] = [];
  const origins: Origin[] = [...peerAuthentication.origins, ...policies.origins];
  const taken = new Set<number>([port]);
  const add = (p: number, destination: Destination | undefined): void => {
    if (destination !== undefined && !taken.has(p)) {
      taken.add(p);
      destinations.push(destination);
    }
  };
  const ingress = sidecar?.spec.ingress ?? [];
  if (ingress.length > 0) {
    origins.push(...(sidecar === undefined ? [] : [sidecar.origin]));
    for (const one of ingress) {
      const p = one.port?.number ?? 0;
      if (isCaptured(proxy, one)) {
        add(p, ingressDestination(input, one, modeOf(p)));
      }
    }
  } else {
    for (const target of targets) {
      add(target.targetPort, declared(input, target, modeOf(target.targetPort)));
      origins.push(target.service.origin, ...(target.rule?.origins ?? []));
    }
  }
  // Ports with a mode of their own that no service declares.
  for (const [p, mode] of peerAuthentication.portModes) {
    if (!taken.has(p) && mode !== peerAuthentication.mode) {
      destinations.push(undeclared(p, mode));
    }
  }
  destinations.push(undeclared(undefined, peerAuthentication.mode));
  const bytes = destinations.filter((d) => d.handling === 'tcp').flatMap((d) => d.port ?? []);
  const plainBytes = destinations
    .filter((d) => d.handling === 'tcp' && d.mode === 'DISABLE' && d.ownTls === undefined)
    .flatMap((d) => d.port ?? []);
  return {
    resource: {
      name: 'virtualInbound',
      ...listeningOn(wildcard, port, proxy),
      trafficDirection: 'INBOUND',
      filterChains: [
        blackhole(context, port),
        ...destinations.flatMap((to) => inboundChains({ context, policies }, to)),
      ],
      listenerFilters: [
        ...(proxy.interceptionMode === 'TPROXY' ? [ORIGINAL_SRC] : []),
        ORIGINAL_DST,
        tlsInspector(plainBytes),
        httpInspector(bytes),
      ],
      listenerFiltersTimeout: detectionTimeout(mesh),
      continueOnListenerFiltersTimeout: true,
      ...(proxy.interceptionMode === 'TPROXY' ? { transparent: true } : {}),
      ...accepting(proxy),
      accessLog: listenerAccessLog(context, 'inbound'),
    },
    origins: uniqueOrigins(origins),
  };
}

/** Listeners for what arrives at a sidecar: that which all connections are redirected to, and those that its Sidecar wants bound. */
export function inboundListeners(scope: ProxyScope, context: ListenerContext): readonly Generated<Listener>[] {
  const input: InboundInput = {
    context,
    targets: scope.inbound,
    sidecar: scope.sidecar,
    peerAuthentication: scope.peerAuthentication,
    policies: inboundPolicies(scope),
  };
  return [...(scope.proxy.interceptionMode === 'NONE' ? [] : [listener(input)]), ...boundListeners(input)];
}
