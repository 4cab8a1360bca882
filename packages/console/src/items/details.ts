import type { Chart, Detail, Graph, ListItem, ObjectName } from '../api.ts';
import type { App, Service, Workload } from '../mesh/mesh-view.ts';
import { appKey, serviceKey, trafficBy, workloadKey } from '../traffic/by-item.ts';
import { type ChartQuery, type Selector, trafficCharts } from './charts.ts';
import { appItem, type ItemSort, type ListInput, serviceItem, workloadItem } from './lists.ts';

/** What there is to say about an item, but for its charts and neighbours. */
export interface Description {
  readonly item: ListItem;
  readonly createdAt: number;
  readonly facts: Detail['facts'];
  readonly workloads: readonly Workload[];
  readonly services: readonly Service[];
  readonly charts: readonly ChartQuery[];
  /** Id of its node in the graph of its neighbours. */
  readonly node: string;
}

/** Describes one item; undefined where there is none of this name. Pure. `step` in seconds. */
export function describeItem(
  sort: ItemSort,
  namespace: string,
  name: string,
  input: ListInput,
  step: number,
): Description | undefined {
  const key = `${namespace}/${name}`;
  switch (sort) {
    case 'workloads': {
      const workload = input.mesh.workload(namespace, name);
      return workload && describeWorkload(workload, input, trafficBy(input.samples, workloadKey).get(key), step);
    }
    case 'apps': {
      const app = input.mesh.app(namespace, name);
      return app && describeApp(app, input, trafficBy(input.samples, appKey(input.mesh)).get(key), step);
    }
    case 'services': {
      const service = input.mesh.service(namespace, name);
      return service && describeService(service, input, trafficBy(input.samples, serviceKey).get(key), step);
    }
  }
}

type Sum = Parameters<typeof workloadItem>[2];

const fact = (label: string, value: string): Detail['facts'] => (value === '' ? [] : [{ label, value }]);

/** The side that knows: the server’s own proxy, else its clients’. */
const reporterFor = (workloads: readonly Workload[]): string =>
  workloads.some(({ pods }) => pods.some(({ summary, proxyType }) => summary.hasProxy && proxyType === 'sidecar'))
    ? 'destination'
    : 'source';

const bothWays = (
  to: Selector,
  from: Selector,
  workloads: readonly Workload[],
  step: number,
): readonly ChartQuery[] => [
  ...trafficCharts('Inbound', { reporter: reporterFor(workloads), ...to }, step),
  ...trafficCharts('Outbound', { reporter: 'source', ...from }, step),
];

function describeWorkload(workload: Workload, input: ListInput, sum: Sum, step: number): Description {
  const { kind, namespace, name, pods, desired, images } = workload;
  const accounts = [...new Set(pods.map(({ serviceAccount }) => serviceAccount).filter((each) => each !== ''))];
  const ready = pods.filter(({ summary }) => summary.ready).length;
  return {
    item: workloadItem(workload, input, sum),
    createdAt: workload.createdAt,
    facts: [
      ...fact('Kind', kind),
      ...fact('Application', workload.app),
      ...fact('Version', workload.version),
      ...fact('Pods ready', `${ready} of ${desired ?? pods.length}`),
      ...images.flatMap((image) => fact('Image', image)),
      ...accounts.flatMap((account) => fact('Service account', account)),
      ...(workload.isGateway ? fact('Role', 'Gateway') : []),
    ],
    workloads: [workload],
    services: input.mesh.servicesOf(workload),
    charts: bothWays(
      { destination_workload: name, destination_workload_namespace: namespace },
      { source_workload: name, source_workload_namespace: namespace },
      [workload],
      step,
    ),
    node: `workload:${namespace}/${name}`,
  };
}

function describeApp(app: App, input: ListInput, sum: Sum, step: number): Description {
  const { namespace, name, workloads } = app;
  return {
    item: appItem(app, input, sum),
    createdAt: Math.min(...workloads.map(({ createdAt }) => createdAt)),
    facts: [
      ...fact('Versions', app.versions.join(', ')),
      ...fact('Pods', String(workloads.reduce((count, { pods }) => count + pods.length, 0))),
    ],
    workloads,
    services: app.services,
    charts: bothWays(
      { destination_canonical_service: name, destination_workload_namespace: namespace },
      { source_canonical_service: name, source_workload_namespace: namespace },
      workloads,
      step,
    ),
    node: `app:${namespace}/${name}`,
  };
}

function describeService(service: Service, input: ListInput, sum: Sum, step: number): Description {
  const { namespace, name, workloads } = service;
  return {
    item: serviceItem(service, input, sum),
    createdAt: service.createdAt,
    facts: [
      ...fact('Host', service.host),
      ...fact('Type', service.type),
      ...fact('Cluster address', service.clusterIp),
      ...service.addresses.flatMap((address) => fact('External address', address)),
      ...service.ports.flatMap(({ name: port, port: number, protocol, target }) =>
        fact('Port', `${port === '' ? '' : `${port} `}${number}/${protocol}${target === '' ? '' : ` → ${target}`}`),
      ),
      ...fact(
        'Selector',
        Object.entries(service.selector)
          .map(([label, value]) => `${label}=${value}`)
          .join(', '),
      ),
    ],
    workloads,
    services: [service],
    charts: trafficCharts(
      'Inbound',
      { reporter: reporterFor(workloads), destination_service_name: name, destination_service_namespace: namespace },
      step,
    ),
    node: `service:${namespace}/${name}`,
  };
}

export const objectName = (kind: string, { namespace, name }: Workload | Service): ObjectName => ({
  kind,
  namespace,
  name,
});

/** Everything together. */
export function detailOf(description: Description, charts: readonly Chart[], neighbours: Graph): Detail {
  const { item, createdAt, facts, workloads, services } = description;
  return {
    ...item,
    createdAt,
    facts,
    pods: workloads.flatMap(({ pods }) => pods.map(({ summary }) => summary)),
    services: services.map((service) => objectName('Service', service)),
    workloads: workloads.map((workload) => objectName(workload.kind, workload)),
    charts,
    neighbours,
  };
}

/** The part of a graph that is one step from a node. */
export function around(graph: Graph, node: string): Graph {
  const edges = graph.edges.filter(({ source, target }) => source === node || target === node);
  const near = new Set([node, ...edges.flatMap(({ source, target }) => [source, target])]);
  const nodes = graph.nodes.filter(({ id }) => near.has(id));
  const groups = new Set(nodes.map(({ group }) => group));
  return { ...graph, nodes, edges, groups: graph.groups.filter(({ id }) => groups.has(id)) };
}

/** Names of the sorts for messages. */
export const sortName: Readonly<Record<ItemSort, string>> = {
  services: 'service',
  workloads: 'workload',
  apps: 'application',
};
