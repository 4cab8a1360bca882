import type { KubeObject } from '@istio-ts/kube';
import type { PodSummary } from '../api.ts';
import { type Fields, fields, list, number, text, textMap, time } from './read.ts';

/** A pod as the console reads it. */
export interface Pod {
  readonly summary: PodSummary;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Kind and name of what made it, as people know it: the Deployment, not its ReplicaSet. */
  readonly owner: { readonly kind: string; readonly name: string };
  /** The proxy is all there is, as in gateways and waypoints. */
  readonly proxyType: 'sidecar' | 'router' | 'waypoint' | 'ztunnel' | undefined;
  readonly ambient: boolean;
  readonly images: readonly string[];
  readonly ip: string;
  readonly serviceAccount: string;
}

const proxyName = 'istio-proxy';

export function readPod(object: KubeObject): Pod {
  const { metadata } = object;
  const spec = fields(object.spec);
  const status = fields(object.status);
  const labels = textMap(metadata.labels);
  const annotations = textMap(metadata.annotations);
  const containers = list(spec.containers);
  // Native sidecars are init containers that keep running.
  const lasting = list(spec.initContainers).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const proxy = [...containers, ...lasting].find(({ name }) => name === proxyName);
  const statuses = [...list(status.containerStatuses), ...list(status.initContainerStatuses)];
  const phase = metadata.deletionTimestamp !== undefined ? 'Terminating' : text(status.phase) || 'Unknown';
  const ready = list(status.conditions).some(({ type, status: state }) => type === 'Ready' && state === 'True');
  const message = messageOf(status, statuses);
  return {
    summary: {
      namespace: metadata.namespace ?? '',
      name: metadata.name ?? '',
      phase,
      ready,
      containers: [...containers, ...lasting].map(({ name }) => text(name)),
      hasProxy: proxy !== undefined,
      createdAt: time(metadata.creationTimestamp),
      restarts: statuses.reduce((sum, each) => sum + number(each.restartCount), 0),
      ...(message !== '' && { message }),
    },
    labels,
    annotations,
    owner: ownerOf(object, labels),
    proxyType: proxyTypeOf(proxy, labels),
    ambient: annotations['ambient.istio.io/redirection'] === 'enabled',
    images: containers
      .filter(({ name }) => name !== proxyName || containers.length === 1)
      .map(({ image }) => text(image)),
    ip: text(status.podIP),
    serviceAccount: text(spec.serviceAccountName),
  };
}

/** Why a pod is not well, in Kubernetes' words. */
function messageOf(status: Fields, statuses: readonly Fields[]): string {
  for (const container of statuses) {
    const waiting = fields(fields(container.state).waiting);
    const reason = text(waiting.reason);
    if (reason !== '' && reason !== 'PodInitializing' && reason !== 'ContainerCreating')
      return `${text(container.name)}: ${reason}${text(waiting.message) === '' ? '' : `: ${text(waiting.message)}`}`;
  }
  const failed = list(status.conditions).find(
    ({ type, status: state, reason }) => type === 'PodScheduled' && state === 'False' && reason !== undefined,
  );
  return failed ? text(failed.message) : text(status.message);
}

/** As Istio names workloads: a ReplicaSet of a Deployment is left out, and so is the Job of a CronJob. */
function ownerOf({ metadata }: KubeObject, labels: Readonly<Record<string, string>>): Pod['owner'] {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (!owner) return { kind: 'Pod', name: metadata.name ?? '' };
  const hash = labels['pod-template-hash'];
  if (owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(`-${hash}`))
    return { kind: 'Deployment', name: owner.name.slice(0, -hash.length - 1) };
  // A CronJob names its jobs after the minute.
  const [, cron] = /^(.+)-\d{8,10}$/.exec(owner.name) ?? [];
  if (owner.kind === 'Job' && cron !== undefined) return { kind: 'CronJob', name: cron };
  return { kind: owner.kind, name: owner.name };
}

function proxyTypeOf(proxy: Fields | undefined, labels: Readonly<Record<string, string>>): Pod['proxyType'] {
  if (labels['gateway.istio.io/managed'] === 'istio.io-mesh-controller') return 'waypoint';
  if (labels.app === 'ztunnel') return 'ztunnel';
  if (!proxy) return undefined;
  const args = Array.isArray(proxy.args) ? proxy.args.map(text) : [];
  if (args[0] === 'proxy' && args[1] === 'waypoint') return 'waypoint';
  return args[0] === 'proxy' && args[1] === 'router' ? 'router' : 'sidecar';
}
