import { kubernetesTypes } from '@istio-ts/api/resource-types';
import {
  decideInjection,
  InjectionError,
  isInjector,
  type JsonObject,
  judgeWebhooks,
  type WebhookVerdict,
} from '@istio-ts/injector';
import { isNotFound, type KubeObject } from '@istio-ts/kube';
import { CliError } from '../cli/failure.ts';
import { formatFrom, structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { table } from '../cli/table.ts';
import { injectionConfigOf } from './injection-source.ts';

/** A pod, or what a workload makes pods from. */
interface Candidate {
  readonly namespace: string;
  readonly pod: JsonObject;
  readonly labels: Readonly<Record<string, string>>;
  /** Set for a pod that exists: whether it has a proxy. */
  readonly hasProxy?: boolean;
}

interface Row {
  readonly webhook: string;
  readonly revision: string;
  readonly injected: boolean;
  readonly reason: string;
}

const PODS = new Set(['pod', 'pods', 'po']);
const WORKLOADS: Readonly<Record<string, (typeof kubernetesTypes)[keyof typeof kubernetesTypes]>> = {
  deployment: kubernetesTypes.Deployment,
  deployments: kubernetesTypes.Deployment,
  deploy: kubernetesTypes.Deployment,
  statefulset: kubernetesTypes.StatefulSet,
  statefulsets: kubernetesTypes.StatefulSet,
  sts: kubernetesTypes.StatefulSet,
  daemonset: kubernetesTypes.DaemonSet,
  daemonsets: kubernetesTypes.DaemonSet,
  ds: kubernetesTypes.DaemonSet,
  replicaset: kubernetesTypes.ReplicaSet,
  replicasets: kubernetesTypes.ReplicaSet,
  rs: kubernetesTypes.ReplicaSet,
  job: kubernetesTypes.Job,
  jobs: kubernetesTypes.Job,
  cronjob: kubernetesTypes.CronJob,
  cronjobs: kubernetesTypes.CronJob,
  cj: kubernetesTypes.CronJob,
};

const labelsOf = (object: JsonObject): Readonly<Record<string, string>> =>
  ((object.metadata as JsonObject | undefined)?.labels ?? {}) as Readonly<Record<string, string>>;

const at = (object: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>((value, key) => (value as Readonly<Record<string, unknown>> | undefined)?.[key], object);

/** Reads `KEY=VALUE,KEY=VALUE`. Raises CliError. */
function parseLabels(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text
      .split(',')
      .filter((part) => part.trim() !== '')
      .map((part) => {
        const [, key, value] = /^\s*([^=\s]+)\s*==?\s*(\S*)\s*$/.exec(part) ?? [];
        if (key === undefined) throw new CliError(`--labels: "${part}" is not of the form KEY=VALUE`);
        return [key, value ?? ''];
      }),
  );
}

function hasProxy(pod: JsonObject): boolean {
  const names = ['containers', 'initContainers'].flatMap((list) => (at(pod, 'spec', list) ?? []) as { name: string }[]);
  return names.some(({ name }) => name === 'istio-proxy');
}

async function candidateOf(session: Session, target: string): Promise<Candidate> {
  const [kind = '', rest = ''] = target.includes('/') ? target.split('/', 2) : ['pod', target];
  const word = kind.toLowerCase();
  const type = PODS.has(word) ? kubernetesTypes.Pod : WORKLOADS[word];
  if (type === undefined)
    throw new CliError(
      `"${kind}" in "${target}" is not a kind of workload: use ${['pod', ...Object.keys(WORKLOADS)].join(', ')}`,
    );
  const dot = rest.lastIndexOf('.');
  const get = async (name: string, namespace: string): Promise<KubeObject | undefined> => {
    try {
      return await session.client().get(type, name, namespace);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };
  // Names of pods may have dots, so the whole may be the name.
  const object =
    (await get(rest, session.namespace())) ??
    (dot > 0 ? await get(rest.slice(0, dot), rest.slice(dot + 1)) : undefined);
  if (object === undefined)
    throw new CliError(`there is no ${type.kind} "${rest}" in namespace ${session.namespace()}: name another with -n`);
  const namespace = object.metadata.namespace ?? session.namespace();
  const data = object as unknown as JsonObject;
  if (type.kind === 'Pod') return { namespace, pod: data, labels: labelsOf(data), hasProxy: hasProxy(data) };
  const path = type.kind === 'CronJob' ? ['spec', 'jobTemplate', 'spec', 'template'] : ['spec', 'template'];
  const pod = (at(data, ...path) ?? {}) as JsonObject;
  return { namespace, pod, labels: labelsOf(pod) };
}

/** What the injector itself says, once a webhook asks it: annotations, network of the node, selectors and policy of the mesh. */
async function ownDecision(session: Session, candidate: Candidate, verdict: WebhookVerdict): Promise<Row> {
  const row = { webhook: verdict.configuration, revision: verdict.revision, reason: verdict.reason };
  if (verdict.webhook === undefined) return { ...row, injected: false };
  try {
    const config = await injectionConfigOf(session, verdict.revision);
    const decision = decideInjection(candidate.pod, candidate.namespace, config);
    if (decision.inject) return { ...row, injected: true };
    return {
      ...row,
      injected: false,
      reason: `${verdict.reason}, but the injector leaves it alone: ${decision.reason}`,
    };
  } catch (error) {
    if (error instanceof CliError || error instanceof InjectionError)
      return {
        ...row,
        injected: false,
        reason: `${verdict.reason}, but the injector has no usable configuration: ${error.message}`,
      };
    throw error;
  }
}

/** The webhooks of all injectors of the cluster. */
export async function injectorWebhooks(session: Session): Promise<readonly JsonObject[]> {
  const { items } = await session.client().list(kubernetesTypes.MutatingWebhookConfiguration);
  return (items as unknown as readonly JsonObject[]).filter(isInjector);
}

/** `istioctl experimental check-inject`: for each injector whether it would inject, and which labels decide. */
export async function runCheckInject(
  session: Session,
  flags: { readonly labels?: string; readonly output: string },
  target: string | undefined,
): Promise<number> {
  const format = formatFrom(flags.output);
  if ((target === undefined) === (flags.labels === undefined))
    throw new CliError('name a pod or workload, or give the labels of a pod with --labels');
  const candidate: Candidate =
    target === undefined
      ? { namespace: session.namespace(), pod: {}, labels: parseLabels(flags.labels ?? '') }
      : await candidateOf(session, target);
  const pod = target === undefined ? { metadata: { labels: candidate.labels } } : candidate.pod;
  const namespaceObject = await session
    .client()
    .get(kubernetesTypes.Namespace, candidate.namespace)
    .catch((error: unknown) => {
      if (isNotFound(error)) throw new CliError(`there is no namespace ${candidate.namespace}`);
      throw error;
    });
  const configurations = await injectorWebhooks(session);
  if (configurations.length === 0)
    throw new CliError('this cluster has no sidecar injector: install Istio with istioctl install');
  // The API server sets this label on every namespace.
  const namespaceLabels = {
    'kubernetes.io/metadata.name': candidate.namespace,
    ...(namespaceObject.metadata.labels as Readonly<Record<string, string>> | undefined),
  };
  const rows = await Promise.all(
    configurations
      .map((each) => judgeWebhooks(each, namespaceLabels, candidate.labels))
      .map((verdict) => ownDecision(session, { ...candidate, pod }, verdict)),
  );
  if (format !== 'short') {
    session.out(structured(rows, format));
    return 0;
  }
  const mark = (yes: boolean) => (yes ? '✔' : '✘');
  session.out(
    table(
      ['WEBHOOK', 'REVISION', 'INJECTED', 'REASON'],
      rows.map(({ webhook, revision, injected, reason }) => [webhook, revision, mark(injected), reason]),
    ),
  );
  const injected = rows.filter((row) => row.injected);
  if (new Set(injected.map(({ revision }) => revision)).size > 1)
    session.err('More than one revision would inject this pod: which one does is the order of the webhooks.\n');
  if (candidate.hasProxy === false && injected.length > 0)
    session.err(
      'The pod has no proxy, because it is older than these labels or webhooks: delete it to have it injected.\n',
    );
  if (candidate.hasProxy === true && injected.length === 0)
    session.err('The pod has a proxy from before: when it is replaced, it will have none.\n');
  return 0;
}
