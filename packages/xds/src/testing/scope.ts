import type {
  Config,
  InboundTarget,
  MergedDestinationRule,
  ProxyScope,
  ScopedProxy,
  Service,
  ServicePort,
  VirtualService,
} from '@istio-ts/mesh/model';

/** Builds scopes for tests of the generators: only what a test speaks of, the rest as a bare mesh has it. */

const origin = (kind: string, namespace: string, name: string) => ({ kind, namespace, name });

export function config<Spec>(
  kind: string,
  name: string,
  spec: Spec,
  more: Partial<Config<Spec>> = {},
  namespace = 'default',
): Config<Spec> {
  return { origin: origin(kind, namespace, name), labels: {}, annotations: {}, createdAt: 0, spec, ...more };
}

export function service(
  name: string,
  ports: readonly (Partial<ServicePort> & Pick<ServicePort, 'number' | 'protocol'>)[],
  more: Partial<Service> = {},
): Service {
  const namespace = more.namespace ?? 'default';
  return {
    origin: origin('Service', namespace, name),
    registry: 'Kubernetes',
    hostname: `${name}.${namespace}.svc.cluster.local`,
    namespace,
    name,
    addresses: [],
    ports: ports.map((p) => ({ name: p.protocol.toLowerCase(), ...p })),
    resolution: 'static',
    headless: false,
    meshExternal: false,
    exportTo: { kind: 'public' },
    labels: {},
    subjectAltNames: [],
    createdAt: 0,
    ...more,
  };
}

export const virtualService = (
  name: string,
  spec: VirtualService['spec'],
  more: Partial<VirtualService> = {},
): VirtualService => config('VirtualService', name, { gateways: ['mesh'], ...spec }, more);

export const destinationRule = (host: string, spec: MergedDestinationRule['spec']): MergedDestinationRule => ({
  host,
  origins: [origin('DestinationRule', 'default', host)],
  namespace: 'default',
  spec,
});

export const proxy = (more: Partial<ScopedProxy> = {}): ScopedProxy => ({
  type: 'sidecar',
  namespace: 'default',
  labels: { app: 'client', version: 'v1' },
  clusterId: 'Kubernetes',
  network: '',
  locality: { region: '', zone: '', subzone: '' },
  dnsDomain: 'default.svc.cluster.local',
  ipAddresses: ['10.244.0.9'],
  workloadName: 'client-v1',
  canonicalName: 'client',
  canonicalRevision: 'v1',
  serviceAccount: 'client',
  istioVersion: '1.30.0',
  interceptionMode: 'REDIRECT',
  metadata: {},
  ...more,
});

export interface ScopeParts extends Partial<Omit<ProxyScope, 'proxy' | 'serviceByHost' | 'destinationRules'>> {
  readonly proxy?: Partial<ScopedProxy>;
  readonly destinationRules?: readonly MergedDestinationRule[];
}

export function scope(parts: ScopeParts): ProxyScope {
  const services = parts.services ?? [];
  return {
    mesh: { defaultProviders: { metrics: ['prometheus'] } } as Partial<ProxyScope['mesh']> as ProxyScope['mesh'],
    virtualServices: [],
    gateways: [],
    inbound: [] as readonly InboundTarget[],
    sidecar: undefined,
    peerAuthentication: { mode: 'PERMISSIVE', portModes: new Map(), origins: [] },
    requestAuthentications: [],
    authorizationPolicies: [],
    telemetries: [],
    envoyFilters: [],
    wasmPlugins: [],
    trafficExtensions: [],
    autoMutualTls: () => true,
    trustDomain: 'cluster.local',
    ...parts,
    proxy: proxy(parts.proxy),
    services,
    serviceByHost: new Map(services.map((s) => [s.hostname, s])),
    destinationRules: new Map((parts.destinationRules ?? []).map((r) => [r.host, r])),
  };
}
