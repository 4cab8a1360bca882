import type { KubeObject } from '@istio-ts/kube';
import { type Pod, readPod } from './pods.ts';
import { fields, list, number, text, textMap, time } from './read.ts';

/** What runs: a Deployment or another controller with its pods, or a pod alone. */
export interface Workload {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Canonical service and revision: what Istio's metrics call it. */
  readonly app: string;
  readonly version: string;
  readonly pods: readonly Pod[];
  /** Undefined for workloads that have no number to reach. */
  readonly desired: number | undefined;
  readonly images: readonly string[];
  readonly createdAt: number;
  readonly isGateway: boolean;
}

export interface Service {
  readonly namespace: string;
  readonly name: string;
  readonly host: string;
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly {
    readonly name: string;
    readonly port: number;
    readonly protocol: string;
    readonly target: string;
  }[];
  readonly clusterIp: string;
  readonly addresses: readonly string[];
  readonly createdAt: number;
  readonly selector: Readonly<Record<string, string>>;
  readonly workloads: readonly Workload[];
}

/** All versions of what has the same canonical name. */
export interface App {
  readonly namespace: string;
  readonly name: string;
  readonly workloads: readonly Workload[];
  readonly services: readonly Service[];
  readonly versions: readonly string[];
}

export interface NamespaceView {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Revision that injects its pods, or `enabled`; undefined: none does. */
  readonly injection: string | undefined;
}

/** What a cluster has, put in relation. */
export interface MeshView {
  readonly namespaces: ReadonlyMap<string, NamespaceView>;
  readonly workloads: readonly Workload[];
  readonly services: readonly Service[];
  readonly apps: readonly App[];
  readonly workload: (namespace: string, name: string) => Workload | undefined;
  readonly service: (namespace: string, name: string) => Service | undefined;
  readonly app: (namespace: string, name: string) => App | undefined;
  readonly servicesOf: (workload: Workload) => readonly Service[];
  /** Workloads with all of these labels, in a namespace or (undefined) in all; none where there are no labels. */
  readonly selected: (selector: Readonly<Record<string, string>>, namespace: string | undefined) => readonly Workload[];
}

export interface MeshObjects {
  readonly namespaces: readonly KubeObject[];
  readonly pods: readonly KubeObject[];
  readonly services: readonly KubeObject[];
  /** Deployments, StatefulSets, DaemonSets and whatever else makes pods from a template. */
  readonly controllers: readonly KubeObject[];
  readonly domainSuffix: string;
}

const key = (namespace: string, name: string): string => `${namespace}/${name}`;

/** The canonical name of what has these labels (Istio, canonical services); `otherwise` for what has none of them. */
export const canonicalName = (labels: Readonly<Record<string, string>>, otherwise: string): string =>
  labels['service.istio.io/canonical-name'] || labels['app.kubernetes.io/name'] || labels.app || otherwise;
export const canonicalRevision = (labels: Readonly<Record<string, string>>): string =>
  labels['service.istio.io/canonical-revision'] || labels['app.kubernetes.io/version'] || labels.version || 'latest';

export const selects = (
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean => Object.entries(selector).every(([name, value]) => labels[name] === value);

/** Finds workloads by the labels of a selector, without looking at all of them for each selector. */
export class BySelector {
  /** Of a namespace, and of all (''), by one label: `namespace name=value`. */
  readonly #byLabel = new Map<string, Workload[]>();

  constructor(workloads: readonly Workload[]) {
    const add = (key: string, workload: Workload): void => {
      const found = this.#byLabel.get(key);
      if (found) found.push(workload);
      else this.#byLabel.set(key, [workload]);
    };
    for (const workload of workloads)
      for (const [name, value] of Object.entries(workload.labels)) {
        add(`${workload.namespace} ${name}=${value}`, workload);
        add(` ${name}=${value}`, workload);
      }
  }

  /** Those that have all labels, in a namespace or (undefined) in all; none for a selector without labels. */
  find(selector: Readonly<Record<string, string>>, namespace: string | undefined): readonly Workload[] {
    let fewest: readonly Workload[] | undefined;
    for (const [name, value] of Object.entries(selector)) {
      const found = this.#byLabel.get(`${namespace ?? ''} ${name}=${value}`);
      if (!found) return [];
      if (!fewest || found.length < fewest.length) fewest = found;
    }
    return fewest?.filter(({ labels }) => selects(selector, labels)) ?? [];
  }
}

/** Builds the view. Pure. */
export function meshView(objects: MeshObjects): MeshView {
  const namespaces = new Map(
    objects.namespaces.map(({ metadata }) => {
      const labels = textMap(metadata.labels);
      const injection =
        labels['istio-injection'] === 'disabled'
          ? undefined
          : labels['istio-injection'] === 'enabled'
            ? 'enabled'
            : labels['istio.io/rev'] || undefined;
      return [metadata.name ?? '', { name: metadata.name ?? '', labels, injection }];
    }),
  );
  const workloads = workloadsOf(objects.controllers, objects.pods.map(readPod));
  const bySelector = new BySelector(workloads);
  const services = objects.services.map((object) => readService(object, bySelector, objects.domainSuffix));
  const servicesOf = new Map<Workload, Service[]>();
  for (const service of services)
    for (const workload of service.workloads) {
      const found = servicesOf.get(workload);
      if (found) found.push(service);
      else servicesOf.set(workload, [service]);
    }
  const apps = [...Map.groupBy(workloads, ({ namespace, app }) => key(namespace, app)).values()].map((members): App => {
    const [first] = members;
    return {
      namespace: first?.namespace ?? '',
      name: first?.app ?? '',
      workloads: members,
      services: [...new Set(members.flatMap((workload) => servicesOf.get(workload) ?? []))],
      versions: [...new Set(members.map(({ version }) => version))].sort(),
    };
  });
  const find = <T extends { readonly namespace: string; readonly name: string }>(items: readonly T[]) => {
    const index = new Map(items.map((item) => [key(item.namespace, item.name), item]));
    return (namespace: string, name: string): T | undefined => index.get(key(namespace, name));
  };
  return {
    namespaces,
    workloads,
    services,
    apps,
    workload: find(workloads),
    service: find(services),
    app: find(apps),
    servicesOf: (workload) => servicesOf.get(workload) ?? [],
    selected: (selector, namespace) => bySelector.find(selector, namespace),
  };
}

function workloadsOf(controllers: readonly KubeObject[], pods: readonly Pod[]): readonly Workload[] {
  // Pods that have ended belong to nothing that runs.
  const current = pods.filter(({ summary }) => summary.phase !== 'Succeeded' && summary.phase !== 'Failed');
  const byOwner = Map.groupBy(current, ({ owner, summary }) => `${owner.kind} ${key(summary.namespace, owner.name)}`);
  const workloads: Workload[] = [];
  for (const object of controllers) {
    const { metadata, kind } = object;
    const id = `${kind} ${key(metadata.namespace ?? '', metadata.name ?? '')}`;
    const own = byOwner.get(id) ?? [];
    byOwner.delete(id);
    const spec = fields(object.spec);
    const template = fields(spec.template);
    const status = fields(object.status);
    workloads.push(
      workloadOf(kind, metadata.namespace ?? '', metadata.name ?? '', own, {
        labels: textMap(fields(template.metadata).labels),
        desired:
          kind === 'DaemonSet'
            ? number(status.desiredNumberScheduled)
            : spec.replicas === undefined
              ? 1
              : number(spec.replicas),
        images: list(fields(template.spec).containers).map(({ image }) => text(image)),
        createdAt: time(metadata.creationTimestamp),
      }),
    );
  }
  // What is left was made by something that was not listed, or by nobody.
  for (const own of byOwner.values()) {
    const [first] = own;
    if (!first) continue;
    workloads.push(
      workloadOf(first.owner.kind, first.summary.namespace, first.owner.name, own, {
        labels: first.labels,
        desired: undefined,
        images: first.images,
        createdAt: Math.min(...own.map(({ summary }) => summary.createdAt)),
      }),
    );
  }
  return workloads.sort((a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name));
}

function workloadOf(
  kind: string,
  namespace: string,
  name: string,
  pods: readonly Pod[],
  known: Pick<Workload, 'labels' | 'desired' | 'images' | 'createdAt'>,
): Workload {
  // Injection adds labels to pods that templates do not have.
  const labels = { ...known.labels, ...pods[0]?.labels };
  delete (labels as Record<string, string>)['pod-template-hash'];
  return {
    kind,
    namespace,
    name,
    ...known,
    images:
      known.images.filter((image) => image !== 'auto').length > 0 ? known.images : (pods[0]?.images ?? known.images),
    labels,
    app: canonicalName(labels, name),
    version: canonicalRevision(labels),
    pods,
    isGateway: pods.some(({ proxyType }) => proxyType === 'router'),
  };
}

function readService(object: KubeObject, workloads: BySelector, domainSuffix: string): Service {
  const { metadata } = object;
  const spec = fields(object.spec);
  const namespace = metadata.namespace ?? '';
  const selector = textMap(spec.selector);
  const balanced = list(fields(fields(object.status).loadBalancer).ingress);
  return {
    namespace,
    name: metadata.name ?? '',
    host: `${metadata.name ?? ''}.${namespace}.svc.${domainSuffix}`,
    type: text(spec.type) || 'ClusterIP',
    labels: textMap(metadata.labels),
    ports: list(spec.ports).map((port) => ({
      name: text(port.name),
      port: number(port.port),
      protocol: text(port.appProtocol) || text(port.protocol) || 'TCP',
      target: text(port.targetPort),
    })),
    clusterIp: text(spec.clusterIP),
    addresses: balanced.map(({ ip, hostname }) => text(ip) || text(hostname)),
    createdAt: time(metadata.creationTimestamp),
    selector,
    workloads: workloads.find(selector, namespace),
  };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
