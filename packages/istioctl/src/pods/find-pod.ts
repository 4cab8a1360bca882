import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { CliError } from '../cli/failure.ts';

export interface PodName {
  readonly name: string;
  readonly namespace: string;
}

const workloadTypes = {
  deployment: kubernetesTypes.Deployment,
  deployments: kubernetesTypes.Deployment,
  deploy: kubernetesTypes.Deployment,
  replicaset: kubernetesTypes.ReplicaSet,
  rs: kubernetesTypes.ReplicaSet,
  statefulset: kubernetesTypes.StatefulSet,
  sts: kubernetesTypes.StatefulSet,
  daemonset: kubernetesTypes.DaemonSet,
  ds: kubernetesTypes.DaemonSet,
  service: kubernetesTypes.Service,
  svc: kubernetesTypes.Service,
} as const;

function isReady(pod: KubeObject): boolean {
  const status = pod.status as { readonly phase?: string } | undefined;
  return status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined;
}

/** The running pods with these labels, newest last. */
export async function runningPods(
  client: KubeClient,
  namespace: string,
  labelSelector: string,
): Promise<readonly KubeObject[]> {
  const { items } = await client.list(kubernetesTypes.Pod, { namespace, labelSelector });
  return items.filter(isReady);
}

function selectorOf(object: KubeObject): string {
  const spec = object.spec as {
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> } & Readonly<Record<string, unknown>>;
  };
  const labels = spec.selector?.matchLabels ?? (spec.selector as Readonly<Record<string, string>> | undefined) ?? {};
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

async function existingPod(client: KubeClient, name: string, namespace: string): Promise<PodName> {
  try {
    await client.get(kubernetesTypes.Pod, name, namespace);
    return { name, namespace };
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 404)
      throw new CliError(
        `there is no pod "${name}" in namespace ${namespace}: give its namespace with -n or as ${name}.NAMESPACE, or name a workload, as in deploy/NAME`,
      );
    throw error;
  }
}

/**
 * Finds the pod that a user means: `name`, `name.namespace`, or `kind/name[.namespace]` of a workload or service, of which the first running pod is
 * taken. Raises CliError that says what was looked for.
 */
export async function findPod(client: KubeClient, target: string, namespace: string): Promise<PodName> {
  const [kind, rest] = target.includes('/') ? (target.split('/', 2) as [string, string]) : ['pod', target];
  const dot = rest.lastIndexOf('.');
  const name = dot > 0 ? rest.slice(0, dot) : rest;
  const where = dot > 0 ? rest.slice(dot + 1) : namespace;
  if (kind === 'pod' || kind === 'pods' || kind === 'po') return existingPod(client, name, where);
  const type = workloadTypes[kind as keyof typeof workloadTypes];
  if (!type)
    throw new CliError(
      `"${kind}" in "${target}" is not a kind of workload: use pod, deployment, statefulset, daemonset, replicaset or service`,
    );
  try {
    const [pod] = await runningPods(client, where, selectorOf(await client.get(type, name, where)));
    if (!pod) throw new CliError(`${kind}/${name} in namespace ${where} has no running pod`);
    return { name: pod.metadata.name ?? '', namespace: where };
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 404)
      throw new CliError(`there is no ${kind} "${name}" in namespace ${where}`);
    throw error;
  }
}
