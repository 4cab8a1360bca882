import type { WorkloadEntrySpec } from '@istio-ts/api';
import type { NamespaceFacts, NodeFacts, PodFacts } from './kubernetes/facts.ts';
import { localityLabels, parseLocality } from './locality.ts';
import type { Config, Locality, Workload } from './model.ts';
import { type NetworkOf, networkLabel } from './networks.ts';

/** Facts about the cluster that workloads belong to. */
export interface ClusterFacts {
  readonly clusterId: string;
  /** Network of workloads that say nothing else. */
  readonly networkOf: NetworkOf;
}

/** A pod, with what its node and namespace say about it. */
export function podWorkload(
  pod: PodFacts,
  node: NodeFacts | undefined,
  namespace: NamespaceFacts | undefined,
  cluster: ClusterFacts,
): Workload {
  const { labels, origin } = pod;
  const owner = podOwner(pod);
  const workloadName = labels['service.istio.io/workload-name'] || owner.name;
  return {
    origin,
    name: origin.name,
    namespace: origin.namespace,
    addresses: pod.addresses,
    labels,
    serviceAccount: pod.serviceAccount,
    workloadName,
    ownerKind: owner.kind,
    ...canonical(labels, workloadName),
    clusterId: labels['topology.istio.io/cluster'] || cluster.clusterId,
    network: labels[networkLabel] || namespace?.labels[networkLabel] || cluster.networkOf(pod.addresses[0] ?? ''),
    locality: labelledLocality(labels) ?? nodeLocality(node),
    node: pod.node,
    hostNetwork: pod.hostNetwork,
    tlsMode: labels['security.istio.io/tlsMode'] === 'istio' ? 'istio' : 'disabled',
    ports: pod.ports,
    containerPorts: pod.containerPorts,
  };
}

/** A WorkloadEntry: a machine outside of Kubernetes. */
export function workloadEntryWorkload(entry: Config<WorkloadEntrySpec>, cluster: ClusterFacts): Workload {
  const { origin, spec } = entry;
  const labels = { ...entry.labels, ...spec.labels };
  const workloadName = labels['service.istio.io/workload-name'] || origin.name;
  return {
    origin,
    name: origin.name,
    namespace: origin.namespace,
    addresses: spec.address ? [spec.address] : [],
    labels,
    serviceAccount: spec.serviceAccount ?? '',
    workloadName,
    ownerKind: 'WorkloadEntry',
    ...canonical(labels, workloadName),
    clusterId: labels['topology.istio.io/cluster'] || cluster.clusterId,
    network: spec.network || labels[networkLabel] || cluster.networkOf(spec.address ?? ''),
    locality: spec.locality ? parseLocality(spec.locality) : (labelledLocality(labels) ?? nodeLocality(undefined)),
    node: '',
    hostNetwork: false,
    tlsMode: entryTlsMode(labels, spec.serviceAccount),
    ports: spec.ports ?? {},
    containerPorts: [],
  };
}

/** Annotation of WorkloadEntries whose agent probes the application: until it has said something, they count as not ready. */
export const healthChecksAnnotation = 'proxy.istio.io/health-checks-enabled';

/** Whether traffic may go to a WorkloadEntry. */
export const entryIsReady = (entry: Pick<Config<WorkloadEntrySpec>, 'annotations' | 'status'>): boolean =>
  entry.status?.healthy ?? entry.annotations[healthChecksAnnotation] !== 'true';

/** The label decides; without it, an entry with a service account has a proxy (Istio documentation, WorkloadEntry `serviceAccount`). */
export function entryTlsMode(
  labels: Readonly<Record<string, string>> | undefined,
  serviceAccount: string | undefined,
): 'istio' | 'disabled' {
  const label = labels?.['security.istio.io/tlsMode'];
  if (label !== undefined) return label === 'istio' ? 'istio' : 'disabled';
  return serviceAccount ? 'istio' : 'disabled';
}

/** Canonical service and revision (Istio documentation, "Canonical Service"). */
export function canonical(
  labels: Readonly<Record<string, string>>,
  workloadName: string,
): { readonly canonicalName: string; readonly canonicalRevision: string } {
  return {
    canonicalName:
      labels['service.istio.io/canonical-name'] || labels['app.kubernetes.io/name'] || labels.app || workloadName,
    canonicalRevision:
      labels['service.istio.io/canonical-revision'] ||
      labels['app.kubernetes.io/version'] ||
      labels.version ||
      'latest',
  };
}

/** What a person calls the owner: the Deployment behind a ReplicaSet, the CronJob behind a Job. Both are told by their naming rules, without watching them. */
function podOwner(pod: PodFacts): { readonly kind: string; readonly name: string } {
  const { owner } = pod;
  if (!owner) return { kind: 'Pod', name: pod.origin.name };
  const hash = pod.labels['pod-template-hash'];
  if (owner.kind === 'ReplicaSet' && hash && owner.name.endsWith(`-${hash}`)) {
    return { kind: 'Deployment', name: owner.name.slice(0, -hash.length - 1) };
  }
  const scheduled = owner.kind === 'Job' ? /^(.+)-\d{8,10}$/.exec(owner.name) : null;
  if (scheduled?.[1]) return { kind: 'CronJob', name: scheduled[1] };
  return owner;
}

function labelledLocality(labels: Readonly<Record<string, string>>): Locality | undefined {
  for (const name of localityLabels) {
    const label = labels[name];
    if (label) return parseLocality(label);
  }
  return undefined;
}

function nodeLocality(node: NodeFacts | undefined): Locality {
  return { region: node?.region ?? '', zone: node?.zone ?? '', subzone: node?.subzone ?? '' };
}
