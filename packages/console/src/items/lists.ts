import type { ListItem, ObjectName } from '../api.ts';
import type { References } from '../config/references.ts';
import { groupHealth, healthOf, worst } from '../mesh/health.ts';
import type { App, MeshView, Service, Workload } from '../mesh/mesh-view.ts';
import { appKey, serviceKey, trafficBy, workloadKey } from '../traffic/by-item.ts';
import type { TrafficSamples } from '../traffic/samples.ts';
import { TrafficSum } from '../traffic/traffic-sum.ts';

export type ItemSort = 'services' | 'workloads' | 'apps';

/** What lists are made of. */
export interface ListInput {
  readonly mesh: MeshView;
  readonly references: References;
  readonly samples: TrafficSamples;
}

const empty = new TrafficSum().traffic();

/** All items of a sort in these namespaces. Pure. */
export function listItems(sort: ItemSort, namespaces: ReadonlySet<string>, input: ListInput): readonly ListItem[] {
  const { mesh, samples } = input;
  const within = <T extends { readonly namespace: string }>(items: readonly T[]): readonly T[] =>
    items.filter(({ namespace }) => namespaces.has(namespace));
  switch (sort) {
    case 'workloads': {
      const traffic = trafficBy(samples, workloadKey);
      return within(mesh.workloads).map((workload) => workloadItem(workload, input, traffic.get(idOf(workload))));
    }
    case 'apps': {
      const traffic = trafficBy(samples, appKey(mesh));
      return within(mesh.apps).map((app) => appItem(app, input, traffic.get(idOf(app))));
    }
    case 'services': {
      const traffic = trafficBy(samples, serviceKey);
      return within(mesh.services).map((service) => serviceItem(service, input, traffic.get(idOf(service))));
    }
  }
}

const idOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string =>
  `${namespace}/${name}`;

export function workloadItem(
  workload: Workload,
  { mesh, references }: ListInput,
  sum: TrafficSum | undefined,
): ListItem {
  const { kind, namespace, name, labels } = workload;
  const traffic = sum?.traffic() ?? empty;
  return {
    kind,
    namespace,
    name,
    labels,
    health: healthOf(workload, mesh, traffic),
    traffic,
    ...proxiesOf([workload]),
    config: references.naming({ kind, namespace, name }),
    versions: [workload.version],
  };
}

export function appItem(app: App, { mesh, references }: ListInput, sum: TrafficSum | undefined): ListItem {
  const traffic = sum?.traffic() ?? empty;
  const { namespace, name, workloads } = app;
  const about: readonly ObjectName[] = [
    ...workloads.map((workload) => ({ kind: workload.kind, namespace, name: workload.name })),
    ...app.services.map((service) => ({ kind: 'Service', namespace: service.namespace, name: service.name })),
  ];
  const config = new Map(
    about.flatMap((object) => references.naming(object)).map((each) => [`${each.kind} ${idOf(each)}`, each]),
  );
  return {
    kind: 'App',
    namespace,
    name,
    labels: commonLabels(workloads),
    health: groupHealth(workloads, mesh, traffic),
    traffic,
    ...proxiesOf(workloads),
    config: [...config.values()],
    versions: app.versions,
  };
}

export function serviceItem(service: Service, { mesh, references }: ListInput, sum: TrafficSum | undefined): ListItem {
  const traffic = sum?.traffic() ?? empty;
  const { namespace, name, labels, workloads, selector } = service;
  const lost =
    Object.keys(selector).length > 0 && workloads.length === 0
      ? [{ state: 'degraded', reasons: [`No workload has the labels that Service ${name} selects`] } as const]
      : [];
  return {
    kind: 'Service',
    namespace,
    name,
    labels,
    health: worst([groupHealth(workloads, mesh, traffic), ...lost]),
    traffic,
    ...proxiesOf(workloads),
    config: references.naming({ kind: 'Service', namespace, name }),
    versions: [...new Set(workloads.map(({ version }) => version))].sort(),
  };
}

function proxiesOf(workloads: readonly Workload[]): Pick<ListItem, 'proxies'> {
  const pods = workloads.flatMap((workload) => workload.pods);
  if (pods.length === 0) return {};
  return {
    proxies: {
      ready: pods.filter(({ summary, ambient }) => (summary.hasProxy || ambient) && summary.ready).length,
      total: pods.length,
    },
  };
}

/** Labels that all have with the same value. */
function commonLabels(workloads: readonly Workload[]): Readonly<Record<string, string>> {
  const [first, ...others] = workloads;
  return Object.fromEntries(
    Object.entries(first?.labels ?? {}).filter(([name, value]) => others.every(({ labels }) => labels[name] === value)),
  );
}
