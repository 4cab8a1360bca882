import { type PodName, podName, runningPods } from '@istio-ts/envoy-dump/ask/pods';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import { isNotFound, type KubeClient, type KubeObject, type ResourceType } from '@istio-ts/kube';
import { CliError } from '../cli/failure.ts';

const workloadTypes = {
  deployment: kubernetesTypes.Deployment,
  deployments: kubernetesTypes.Deployment,
  deploy: kubernetesTypes.Deployment,
  replicaset: kubernetesTypes.ReplicaSet,
  replicasets: kubernetesTypes.ReplicaSet,
  rs: kubernetesTypes.ReplicaSet,
  statefulset: kubernetesTypes.StatefulSet,
  statefulsets: kubernetesTypes.StatefulSet,
  sts: kubernetesTypes.StatefulSet,
  daemonset: kubernetesTypes.DaemonSet,
  daemonsets: kubernetesTypes.DaemonSet,
  ds: kubernetesTypes.DaemonSet,
  job: kubernetesTypes.Job,
  jobs: kubernetesTypes.Job,
  service: kubernetesTypes.Service,
  services: kubernetesTypes.Service,
  svc: kubernetesTypes.Service,
} as const;

const gatewayWords: ReadonlySet<string> = new Set(['gateway', 'gateways', 'gtw', 'gw']);
/** Label of the pods that serve a Gateway of the Kubernetes Gateway API. */
const gatewayLabel = 'gateway.networking.k8s.io/gateway-name';

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
    if (isNotFound(error))
      throw new CliError(
        `there is no pod "${name}" in namespace ${namespace}: give its namespace with -n or as ${name}.NAMESPACE, or name a workload, as in deploy/NAME`,
      );
    throw error;
  }
}

/** Pods of a gateway: those made for a Gateway of the Gateway API, else those that an Istio Gateway selects (in any namespace). */
async function gatewayPods(client: KubeClient, name: string, namespace: string): Promise<readonly KubeObject[]> {
  const own = await runningPods(client, namespace, `${gatewayLabel}=${name}`);
  if (own.length > 0) return own;
  const gateway = await client.get(istioTypes.Gateway, name, namespace);
  const labels = selectorOf(gateway);
  if (labels === '')
    throw new CliError(`Gateway ${name}.${namespace} has no selector, so no pods of its own: name one`);
  return runningPods(client, '', labels);
}

async function workloadPods(
  client: KubeClient,
  type: ResourceType,
  name: string,
  namespace: string,
): Promise<readonly KubeObject[]> {
  const selector = selectorOf(await client.get(type, name, namespace));
  if (selector === '')
    throw new CliError(`${type.kind} ${name}.${namespace} selects no pods (it has no selector): name a pod`);
  return runningPods(client, namespace, selector);
}

/**
 * Finds the pods that a user means: `name`, `name.namespace`, or `kind/name[.namespace]` of a workload, service or gateway, whose running pods these
 * are, in the order of the API server. Never empty: raises CliError that says what was looked for.
 */
export async function findPods(
  client: KubeClient,
  target: string,
  namespace: string,
): Promise<readonly [PodName, ...PodName[]]> {
  const [kind, rest] = target.includes('/') ? (target.split('/', 2) as [string, string]) : ['pod', target];
  const dot = rest.lastIndexOf('.');
  const name = dot > 0 ? rest.slice(0, dot) : rest;
  const where = dot > 0 ? rest.slice(dot + 1) : namespace;
  if (name === '') throw new CliError(`"${target}" names no pod: use POD[.NAMESPACE] or KIND/NAME[.NAMESPACE]`);
  if (kind === 'pod' || kind === 'pods' || kind === 'po') return [await existingPod(client, name, where)];
  const word = kind.split('.')[0] ?? kind;
  const type = Object.hasOwn(workloadTypes, word) ? workloadTypes[word as keyof typeof workloadTypes] : undefined;
  if (!type && !gatewayWords.has(word))
    throw new CliError(
      `"${kind}" in "${target}" is not a kind of workload: use pod, deployment, statefulset, daemonset, replicaset, job, service or gateway`,
    );
  try {
    const pods = type ? await workloadPods(client, type, name, where) : await gatewayPods(client, name, where);
    const [first, ...others] = pods.map(podName);
    if (!first) throw new CliError(`${kind}/${name} in namespace ${where} has no running pod`);
    return [first, ...others];
  } catch (error) {
    if (isNotFound(error)) throw new CliError(`there is no ${kind} "${name}" in namespace ${where}`);
    throw error;
  }
}

/** As `findPods`; of several pods the first. */
export async function findPod(client: KubeClient, target: string, namespace: string): Promise<PodName> {
  return (await findPods(client, target, namespace))[0];
}

/** The running pods with these labels in a namespace. Raises CliError when there is none. */
export async function selectPods(
  client: KubeClient,
  selector: string,
  namespace: string,
): Promise<readonly [PodName, ...PodName[]]> {
  const [first, ...others] = (await runningPods(client, namespace, selector)).map(podName);
  if (!first) throw new CliError(`no running pod in namespace ${namespace} has the labels ${selector}`);
  return [first, ...others];
}
