import type { Badge, Graph, GraphEdge, GraphGroup, GraphNode, GraphType, Health } from '../api.ts';
import type { ConfigView } from '../mesh/config-view.ts';
import { groupHealth, podsWithoutProxy } from '../mesh/health.ts';
import type { MeshView } from '../mesh/mesh-view.ts';
import { preferred } from '../traffic/preferred.ts';
import type { Flow, TrafficSamples } from '../traffic/samples.ts';
import { TrafficSum } from '../traffic/traffic-sum.ts';
import { type NodeSeed, Nodes } from './nodes.ts';

export interface GraphInput {
  readonly type: GraphType;
  /** Milliseconds. */
  readonly at: number;
  /** Seconds. */
  readonly duration: number;
  readonly samples: TrafficSamples;
  readonly mesh: MeshView;
  readonly config: ConfigView;
  /** Namespaces that were asked for: what has no traffic is shown of these. */
  readonly namespaces: readonly string[];
  /** Services stand between who calls and who answers. */
  readonly serviceNodes: boolean;
  /** Shows what has no traffic too. */
  readonly idle: boolean;
  readonly warnings: readonly string[];
}

interface EdgeSum {
  readonly id: string;
  readonly source: NodeSeed;
  readonly target: NodeSeed;
  readonly protocol: Flow['protocol'];
  readonly sum: TrafficSum;
}

/** The graph of traffic and configuration. Pure; the order of its parts depends on nothing but their names. */
export function buildGraph(input: GraphInput): Graph {
  const nodes = new Nodes(input.type, input.mesh, input.config);
  const edges = new Map<string, EdgeSum>();
  const incoming = new Map<string, TrafficSum>();
  const between = input.serviceNodes && (input.type === 'versionedApp' || input.type === 'workload');
  const samples = preferred(input.samples);

  const edge = (source: NodeSeed, target: NodeSeed, protocol: Flow['protocol']): TrafficSum => {
    const id = `${source.id} ${target.id} ${protocol}`;
    let found = edges.get(id);
    if (!found) {
      found = { id, source, target, protocol, sum: new TrafficSum() };
      edges.set(id, found);
    }
    return found.sum;
  };
  /** Adds a flow to all edges on its way and to the nodes that they lead to. */
  const along = (flow: Flow, add: (sum: TrafficSum) => void): void => {
    const source = nodes.source(flow);
    const target = nodes.target(flow);
    const service = between ? nodes.service(flow) : undefined;
    const way =
      service && service !== target && service !== source
        ? ([
            [source, service],
            [service, target],
          ] as const)
        : ([[source, target]] as const);
    for (const [from, to] of way) {
      add(edge(from, to, flow.protocol));
      let sum = incoming.get(to.id);
      if (!sum) {
        sum = new TrafficSum();
        incoming.set(to.id, sum);
      }
      add(sum);
    }
  };
  for (const flow of samples.requests) {
    const share = samples.mutualTlsOf(flow);
    along(flow, (sum) => {
      sum.addRequests(flow);
      if (share !== undefined) addShare(sum, share, flow.rate);
    });
  }
  for (const flow of samples.latencies) along(flow, (sum) => sum.addLatency(flow));
  for (const flow of samples.tcp) {
    const share = samples.mutualTlsOf(flow);
    along(flow, (sum) => {
      sum.addTcp(flow);
      if (share !== undefined) addShare(sum, share, flow.bytesPerSecond);
    });
  }
  if (input.idle) addIdle(nodes, input);

  const seeds = [...nodes.all].sort((a, b) => (a.id < b.id ? -1 : 1));
  const sending = new Set([...edges.values()].map(({ source }) => source.id));
  const { groups, groupOf } = grouping(seeds, input);
  return {
    type: input.type,
    at: input.at,
    duration: input.duration,
    nodes: seeds.map((seed) => nodeOf(seed, input, incoming.get(seed.id), sending.has(seed.id), between, groupOf)),
    edges: edgesOf([...edges.values()]),
    groups,
    warnings: input.warnings,
  };
}

function addShare(sum: TrafficSum, share: number, amount: number): void {
  sum.addSecurity(true, amount * share);
  sum.addSecurity(false, amount * (1 - share));
}

/** What could have traffic and has none. */
function addIdle(nodes: Nodes, { type, mesh, namespaces }: GraphInput): void {
  const wanted = new Set(namespaces);
  const inMesh = (namespace: string): boolean => mesh.namespaces.get(namespace)?.injection !== undefined;
  if (type === 'service') {
    for (const service of mesh.services)
      if (wanted.has(service.namespace) && (inMesh(service.namespace) || service.workloads.some(hasProxies)))
        nodes.serviceNode(service);
    return;
  }
  for (const workload of mesh.workloads)
    if (wanted.has(workload.namespace) && (inMesh(workload.namespace) || hasProxies(workload)))
      nodes.workload(workload);
}

const hasProxies = ({ pods }: MeshView['workloads'][number]): boolean =>
  pods.some(({ summary, ambient }) => summary.hasProxy || ambient);

function nodeOf(
  seed: NodeSeed,
  input: GraphInput,
  sum: TrafficSum | undefined,
  sends: boolean,
  between: boolean,
  groupOf: (seed: NodeSeed) => string | undefined,
): GraphNode {
  const traffic = (sum ?? new TrafficSum()).traffic();
  const group = groupOf(seed);
  const { id, kind, namespace, app, version, workload, service } = seed;
  return {
    id,
    kind,
    namespace,
    ...(app !== undefined && { app }),
    ...(version !== undefined && { version }),
    ...(workload !== undefined && { workload }),
    ...(service !== undefined && { service }),
    ...(group !== undefined && { group }),
    badges: badgesOf(seed, input, between),
    health: healthOf(seed, input, traffic, sends || (sum !== undefined && !sum.isEmpty)),
    incoming: traffic,
  };
}

function healthOf(seed: NodeSeed, input: GraphInput, traffic: GraphNode['incoming'], active: boolean): Health {
  if (seed.kind === 'unknown')
    return { state: 'unknown', reasons: ['Who sends this has no proxy and is not known to the mesh'] };
  const health = groupHealth(seed.workloads, input.mesh, traffic);
  return health.state === 'healthy' && !active ? { state: 'idle', reasons: ['No traffic in this time'] } : health;
}

function badgesOf(seed: NodeSeed, { config, mesh }: GraphInput, between: boolean): readonly Badge[] {
  const badges = new Set<Badge>();
  const isService = seed.kind === 'service' || seed.kind === 'serviceEntry';
  // Where services have nodes of their own, their configuration is shown there only.
  const hosts = isService ? [seed.host ?? ''] : between ? [] : seed.services.map(({ host }) => host);
  for (const host of hosts) for (const badge of config.badgesOf(host)) badges.add(badge);
  if (seed.kind === 'gateway') badges.add('gateway');
  if (seed.external) badges.add('external');
  if (seed.dead) badges.add('dead');
  const bare = (workload: MeshView['workloads'][number]): boolean =>
    podsWithoutProxy(workload, mesh) > 0 ||
    workload.pods.some(({ summary, ambient, proxyType }) => !summary.hasProxy && !ambient && proxyType === undefined);
  if (!isService && seed.workloads.some(bare)) badges.add('missing-sidecar');
  return [...badges].sort();
}

/** Boxes: versions of an application, with the services that lead to it; else namespaces where the graph has several. */
function grouping(
  seeds: readonly NodeSeed[],
  { type }: GraphInput,
): { readonly groups: readonly GraphGroup[]; readonly groupOf: (seed: NodeSeed) => string | undefined } {
  const groups = new Map<string, GraphGroup>();
  const appId = ({ namespace, app = '' }: NodeSeed): string => `app:${namespace}/${app}`;
  if (type === 'versionedApp') {
    const versions = Map.groupBy(
      seeds.filter(({ kind }) => kind === 'app'),
      appId,
    );
    for (const [id, members] of versions)
      if (members.length > 1) groups.set(id, { id, kind: 'app', label: members[0]?.app ?? '' });
  }
  const apps = new Set(groups.keys());
  const namespaces = new Set(seeds.map(({ namespace }) => namespace).filter((namespace) => namespace !== ''));
  if (namespaces.size > 1)
    for (const name of [...namespaces].sort())
      groups.set(`namespace:${name}`, { id: `namespace:${name}`, kind: 'namespace', label: name });
  return {
    groups: [...groups.values()],
    groupOf: (seed) => {
      if (seed.app !== undefined && apps.has(appId(seed))) return appId(seed);
      return namespaces.size > 1 && seed.namespace !== '' ? `namespace:${seed.namespace}` : undefined;
    },
  };
}

function edgesOf(edges: readonly EdgeSum[]): readonly GraphEdge[] {
  const amount = ({ protocol, sum }: EdgeSum): number => (protocol === 'tcp' ? sum.sent + sum.received : sum.requests);
  const total = new Map<string, number>();
  for (const edge of edges) {
    const key = `${edge.source.id} ${edge.protocol}`;
    total.set(key, (total.get(key) ?? 0) + amount(edge));
  }
  return edges
    .filter(({ sum }) => !sum.isEmpty)
    .map((edge) => {
      const all = total.get(`${edge.source.id} ${edge.protocol}`) ?? 0;
      const { mutualTls } = edge.sum;
      return {
        id: edge.id,
        source: edge.source.id,
        target: edge.target.id,
        protocol: edge.protocol,
        traffic: edge.sum.traffic(),
        ...(mutualTls !== undefined && { mutualTls }),
        share: all === 0 ? 0 : amount(edge) / all,
        codes: Object.fromEntries([...edge.sum.codes].sort(([a], [b]) => (a < b ? -1 : 1))),
      };
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}
