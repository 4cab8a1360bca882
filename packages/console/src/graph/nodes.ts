import type { GraphType, NodeKind } from '../api.ts';
import type { ConfigView } from '../mesh/config-view.ts';
import { canonicalName, type MeshView, type Service, type Workload } from '../mesh/mesh-view.ts';
import type { Flow, Peer } from '../traffic/samples.ts';

/** A node before its traffic is known. */
export interface NodeSeed {
  readonly id: string;
  readonly kind: NodeKind;
  readonly namespace: string;
  readonly app?: string;
  readonly version?: string;
  readonly workload?: string;
  readonly service?: string;
  /** Host by which the mesh calls a service. */
  readonly host?: string;
  readonly workloads: readonly Workload[];
  readonly services: readonly Service[];
  readonly external?: true;
  /** Metrics tell of it, the cluster has it no more. */
  readonly dead?: true;
}

/** Names of Envoy's clusters that are no services: traffic to hosts that the mesh does not know, let through or refused. */
const unknownHosts = new Set([
  'PassthroughCluster',
  'BlackHoleCluster',
  'InboundPassthroughCluster',
  'AllowAnyDynamicDNSCluster',
]);

/** Says which node of a graph each side of traffic is. One instance makes each node once. */
export class Nodes {
  readonly #type: GraphType;
  readonly #mesh: MeshView;
  readonly #config: ConfigView;
  readonly #known = new Map<string, NodeSeed>();

  constructor(type: GraphType, mesh: MeshView, config: ConfigView) {
    this.#type = type;
    this.#mesh = mesh;
    this.#config = config;
  }

  get all(): Iterable<NodeSeed> {
    return this.#known.values();
  }

  /** Who sends. */
  source({ source }: Flow): NodeSeed {
    if (source.workload === '')
      return this.#once('unknown', () => ({ kind: 'unknown', namespace: '', workloads: [], services: [] }));
    if (this.#type !== 'service') return this.#peer(source);
    const workload = this.#mesh.workload(source.namespace, source.workload);
    const own = workload ? this.#mesh.servicesOf(workload) : [];
    const service = own.find(({ name }) => name === workload?.app) ?? own[0];
    // Who has no service calls as itself.
    return workload?.isGateway || !service ? this.#workloadNode(source) : this.serviceNode(service);
  }

  /** What answers: the workload, or the service where nobody behind it did. */
  target(flow: Flow): NodeSeed {
    const unknown = (): NodeSeed =>
      this.#once('unknown', () => ({ kind: 'unknown', namespace: '', workloads: [], services: [] }));
    if (this.#type === 'service') return this.service(flow) ?? this.#answering(flow) ?? unknown();
    return this.#answering(flow) ?? this.service(flow) ?? unknown();
  }

  #answering({ destination }: Flow): NodeSeed | undefined {
    return destination.workload === '' ? undefined : this.#peer(destination);
  }

  /** The service that was called; undefined where none is known. */
  service({ host, service, serviceNamespace }: Flow): NodeSeed | undefined {
    if (service === '' && host === '') return undefined;
    if (unknownHosts.has(service) || unknownHosts.has(host)) {
      // What came in past every service says nothing about a service.
      if (service === 'InboundPassthroughCluster') return undefined;
      const name = unknownHosts.has(service) ? service : host;
      return this.#once(`service:${name}`, () => ({
        kind: 'service',
        namespace: '',
        service: name,
        external: true,
        workloads: [],
        services: [],
      }));
    }
    const found = this.#mesh.service(serviceNamespace, service);
    if (found && (host === '' || found.host === host || !host.includes('.'))) return this.serviceNode(found);
    const name = host || service;
    const entry = this.#config.entryOf(name);
    if (entry)
      return this.#once(`service:${entry.namespace}/${name}`, () => ({
        kind: 'serviceEntry',
        namespace: entry.namespace,
        service: name,
        host: name,
        workloads: [],
        services: [],
        ...(entry.external && { external: true as const }),
      }));
    const inCluster = /\.svc(\.|$)/.test(name) || (serviceNamespace !== '' && !name.includes('.'));
    return this.#once(
      `service:${serviceNamespace === '' || !inCluster ? '' : `${serviceNamespace}/`}${inCluster ? service || name : name}`,
      () => ({
        kind: 'service',
        namespace: inCluster ? serviceNamespace : '',
        service: inCluster ? service || name : name,
        host: name,
        workloads: [],
        services: [],
        ...(inCluster ? { dead: true as const } : { external: true as const }),
      }),
    );
  }

  serviceNode(service: Service): NodeSeed {
    return this.#once(`service:${service.namespace}/${service.name}`, () => ({
      kind: 'service',
      namespace: service.namespace,
      service: service.name,
      host: service.host,
      app: service.workloads[0]?.app ?? canonicalName(service.selector, service.name),
      workloads: service.workloads,
      services: [service],
    }));
  }

  /** The node that a workload of the cluster belongs to. */
  workload({ namespace, name, app, version }: Workload): NodeSeed {
    return this.#peer({ namespace, workload: name, app, version });
  }

  #peer(peer: Peer): NodeSeed {
    if (this.#type === 'workload' || this.#type === 'service') return this.#workloadNode(peer);
    const workload = this.#mesh.workload(peer.namespace, peer.workload);
    const app = peer.app || workload?.app || peer.workload;
    const version = peer.version || workload?.version || 'latest';
    const versioned = this.#type === 'versionedApp';
    const id = versioned ? `app:${peer.namespace}/${app}/${version}` : `app:${peer.namespace}/${app}`;
    return this.#once(id, () => {
      const all = this.#mesh.app(peer.namespace, app)?.workloads ?? (workload ? [workload] : []);
      const workloads = versioned ? all.filter((each) => each.version === version) : all;
      const only = workloads.length === 1 ? workloads[0] : undefined;
      return {
        kind: workloads.length > 0 && workloads.every(({ isGateway }) => isGateway) ? 'gateway' : 'app',
        namespace: peer.namespace,
        app,
        ...(versioned && { version, workload: only?.name ?? peer.workload }),
        workloads,
        services: [...new Set(workloads.flatMap((each) => this.#mesh.servicesOf(each)))],
        ...(workloads.length === 0 && { dead: true as const }),
      };
    });
  }

  #workloadNode(peer: Peer): NodeSeed {
    return this.#once(`workload:${peer.namespace}/${peer.workload}`, () => {
      const workload = this.#mesh.workload(peer.namespace, peer.workload);
      return {
        kind: workload?.isGateway ? 'gateway' : 'workload',
        namespace: peer.namespace,
        workload: peer.workload,
        app: peer.app || workload?.app || peer.workload,
        version: peer.version || workload?.version || 'latest',
        workloads: workload ? [workload] : [],
        services: workload ? this.#mesh.servicesOf(workload) : [],
        ...(!workload && { dead: true as const }),
      };
    });
  }

  #once(id: string, make: () => Omit<NodeSeed, 'id'>): NodeSeed {
    let node = this.#known.get(id);
    if (!node) {
      node = { id, ...make() };
      this.#known.set(id, node);
    }
    return node;
  }
}
