import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { isNotFound, type KubeClient, type KubeObject, type ResourceType } from '@istio-ts/kube';
import { nameOf } from './apply.ts';
import { OperatorError } from './failure.ts';
import { obstacleOf } from './obstacle.ts';

/** What an object still lacks to be ready, or undefined. */
export function unready(object: KubeObject): string | undefined {
  const status = (object.status ?? {}) as Readonly<Record<string, unknown>>;
  const spec = (object.spec ?? {}) as Readonly<Record<string, unknown>>;
  switch (object.kind) {
    case 'Deployment': {
      const wanted = Number(spec.replicas ?? 1);
      if (Number(status.observedGeneration ?? 0) < Number(object.metadata.generation ?? 0))
        return 'not yet noticed by its controller';
      if (Number(status.updatedReplicas ?? 0) < wanted)
        return `${status.updatedReplicas ?? 0} of ${wanted} pods are up to date`;
      if (Number(status.readyReplicas ?? 0) < wanted) return `${status.readyReplicas ?? 0} of ${wanted} pods are ready`;
      return Number(status.replicas ?? 0) > wanted
        ? 'new pods are not ready yet, or old ones have not ended'
        : undefined;
    }
    case 'DaemonSet': {
      if (Number(status.observedGeneration ?? 0) < Number(object.metadata.generation ?? 0))
        return 'not yet noticed by its controller';
      const nodes = Number(status.desiredNumberScheduled ?? 0);
      if (Number(status.updatedNumberScheduled ?? 0) < nodes)
        return `pods of ${status.updatedNumberScheduled ?? 0} of ${nodes} nodes are up to date`;
      return Number(status.numberReady ?? 0) < nodes
        ? `pods of ${status.numberReady ?? 0} of ${nodes} nodes are ready`
        : undefined;
    }
    case 'CustomResourceDefinition': {
      const conditions = (status.conditions ?? []) as readonly { readonly type: string; readonly status: string }[];
      return conditions.some(({ type, status: is }) => type === 'Established' && is === 'True')
        ? undefined
        : 'not established';
    }
    case 'MutatingWebhookConfiguration':
    case 'ValidatingWebhookConfiguration': {
      const webhooks = (object.webhooks ?? []) as readonly Webhook[];
      return webhooks.some(({ clientConfig }) => clientConfig?.service !== undefined && !clientConfig.caBundle)
        ? 'istiod has not put its certificate authority (caBundle) in yet'
        : undefined;
    }
    default:
      return undefined;
  }
}

interface Webhook {
  readonly clientConfig?: { readonly service?: unknown; readonly caBundle?: string };
}

const waited: Readonly<Record<string, ResourceType>> = {
  Deployment: kubernetesTypes.Deployment,
  DaemonSet: kubernetesTypes.DaemonSet,
  CustomResourceDefinition: kubernetesTypes.CustomResourceDefinition,
  MutatingWebhookConfiguration: kubernetesTypes.MutatingWebhookConfiguration,
  ValidatingWebhookConfiguration: kubernetesTypes.ValidatingWebhookConfiguration,
};

/**
 * The objects among these that become ready some time after they were applied. Webhooks only together with the istiod that completes them: where a
 * control plane elsewhere answers, nobody here does.
 */
export function becomingReady(objects: readonly KubeObject[]): readonly KubeObject[] {
  const withIstiod = objects.some(({ kind, metadata }) => kind === 'Deployment' && metadata.labels?.app === 'istiod');
  return objects.filter(
    ({ kind }) => waited[kind] !== undefined && (withIstiod || !kind.endsWith('WebhookConfiguration')),
  );
}

/**
 * Waits until Deployments, DaemonSets, CRDs and istiod's webhooks among the objects are ready; `onWait` hears what is missing. Raises OperatorError when `timeoutMs`
 * has passed, and at once when somebody removes a Deployment or DaemonSet, which does not come back by waiting.
 */
export async function waitReady(
  client: KubeClient,
  objects: readonly KubeObject[],
  timeoutMs: number,
  onWait: (text: string) => void,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  // What runs comes first: a webhook that lacks something only says that its istiod does not.
  const runsFirst = becomingReady(objects).toSorted((a, b) => Number(runs(b)) - Number(runs(a)));
  const waiting = new Map(runsFirst.map((object) => [nameOf(object), object]));
  while (waiting.size > 0) {
    // Asked once a round, so that it is the first of those that are not ready that is named.
    const isOver = performance.now() > deadline;
    for (const [name, object] of [...waiting]) {
      const type = waited[object.kind];
      if (!type) continue;
      const missing = await missingOf(client, type, object);
      if (missing === undefined) waiting.delete(name);
      else if (missing === REMOVED && runs(object))
        throw new OperatorError(`${name} ${REMOVED}. Run the same command again to bring it back.`);
      else if (isOver)
        throw new OperatorError(
          `${name} is not ready after ${Math.round(timeoutMs / 1000)} s: ${missing}${hintFor(object, await obstacleOf(client, object))}`,
        );
      else onWait(`${name.replace(/^Deployment\//, '')}: ${missing}`);
    }
    if (waiting.size > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const runs = ({ kind }: KubeObject): boolean => kind === 'Deployment' || kind === 'DaemonSet';

const REMOVED = 'was removed by somebody while the installation waited for it';

async function missingOf(client: KubeClient, type: ResourceType, object: KubeObject): Promise<string | undefined> {
  try {
    return unready(await client.get(type, object.metadata.name ?? '', object.metadata.namespace));
  } catch (error) {
    if (isNotFound(error)) return REMOVED;
    throw error;
  }
}

function hintFor(object: KubeObject, obstacle: string | undefined): string {
  const namespace = object.metadata.namespace;
  const said = obstacle === undefined ? '' : ` (${obstacle})`;
  return namespace === undefined
    ? said
    : `${said}. See: kubectl get pods -n ${namespace}; kubectl get events -n ${namespace}`;
}
