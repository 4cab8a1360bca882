import { type KubeClient, KubeApiError, type KubeObject, type ResourceType } from '@istio-ts/kube';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { OperatorError } from './failure.ts';

const fieldManager = 'istio-operator';
const parallel = 8;

/** Name of an object for people: `Deployment/istio-system/istiod`. */
export function nameOf(object: KubeObject): string {
  return [object.kind, object.metadata.namespace, object.metadata.name].filter(Boolean).join('/');
}

/** Runs `work` on all items, a few at a time; rejects with the first failure after everything under way has ended. */
export async function forAll<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const failures: unknown[] = [];
  await Promise.all(
    Array.from({ length: Math.min(parallel, waiting.length) }, async () => {
      for (let item = waiting.shift(); item !== undefined && failures.length === 0; item = waiting.shift()) {
        try {
          await work(item);
        } catch (error) {
          failures.push(error);
        }
      }
    }),
  );
  if (failures.length > 0) throw failures[0];
}

async function applyOne(client: KubeClient, object: KubeObject, dryRun: boolean): Promise<void> {
  try {
    const type = await client.resolve(object.apiVersion, object.kind);
    await client.patch(type, object.metadata.name ?? '', object.metadata.namespace, 'apply', object, {
      fieldManager,
      force: true,
      ...(dryRun && { dryRun }),
    });
  } catch (error) {
    throw new OperatorError(`cannot apply ${nameOf(object)}: ${(error as Error).message}`);
  }
}

// What others refer to comes first; within a rank the order does not matter.
const ranks: Readonly<Record<string, number>> = {
  CustomResourceDefinition: 0,
  Namespace: 0,
  ServiceAccount: 1,
  ConfigMap: 1,
  Secret: 1,
  ClusterRole: 1,
  Role: 1,
  ClusterRoleBinding: 2,
  RoleBinding: 2,
};

/** Server-side applies objects: idempotent, what others need first. Raises OperatorError that names the object. */
export async function applyAll(client: KubeClient, objects: readonly KubeObject[], dryRun = false): Promise<void> {
  const byRank = new Map<number, KubeObject[]>();
  for (const object of objects) {
    const rank = ranks[object.kind] ?? 3;
    byRank.set(rank, [...(byRank.get(rank) ?? []), object]);
  }
  for (const rank of [...byRank.keys()].sort())
    await forAll(byRank.get(rank) ?? [], (object) => applyOne(client, object, dryRun));
}

/** Makes the namespace when it is missing. */
export async function ensureNamespace(client: KubeClient, name: string): Promise<void> {
  try {
    await client.create(kubernetesTypes.Namespace, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'istio-operator-managed': 'Reconcile' } },
    });
  } catch (error) {
    if (!(error instanceof KubeApiError && error.status === 409))
      throw new OperatorError(`cannot create namespace ${name}: ${(error as Error).message}`);
  }
}

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
 * Waits until Deployments, CRDs and istiod's webhooks among the objects are ready; `onWait` hears what is missing. Raises OperatorError when `timeoutMs`
 * has passed.
 */
export async function waitReady(
  client: KubeClient,
  objects: readonly KubeObject[],
  timeoutMs: number,
  onWait: (text: string) => void,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  const waiting = new Map(becomingReady(objects).map((object) => [nameOf(object), object]));
  while (waiting.size > 0) {
    for (const [name, object] of [...waiting]) {
      const type = waited[object.kind];
      if (!type) continue;
      const missing = await missingOf(client, type, object);
      if (missing === undefined) waiting.delete(name);
      else if (performance.now() > deadline)
        throw new OperatorError(
          `${name} is not ready after ${Math.round(timeoutMs / 1000)} s: ${missing}${hintFor(object, await lastWarning(client, object))}`,
        );
      else onWait(`${name.replace(/^Deployment\//, '')}: ${missing}`);
    }
    if (waiting.size > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function missingOf(client: KubeClient, type: ResourceType, object: KubeObject): Promise<string | undefined> {
  try {
    return unready(await client.get(type, object.metadata.name ?? '', object.metadata.namespace));
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 404) return 'someone removed it';
    throw error;
  }
}

function hintFor(object: KubeObject, warning: string | undefined): string {
  const namespace = object.metadata.namespace;
  const said = warning === undefined ? '' : ` (${warning})`;
  return namespace === undefined
    ? said
    : `${said}. See: kubectl get pods -n ${namespace}; kubectl get events -n ${namespace}`;
}

/** What the cluster last complained about in the namespace of an object: usually the reason. */
async function lastWarning(client: KubeClient, object: KubeObject): Promise<string | undefined> {
  const name = object.metadata.name ?? '';
  if (object.kind !== 'Deployment') return undefined;
  try {
    const { items } = await client.list(
      { group: '', version: 'v1', resource: 'events', kind: 'Event', namespaced: true },
      { ...(object.metadata.namespace !== undefined && { namespace: object.metadata.namespace }) },
    );
    const warnings = items.filter((event) => {
      const about = (event.involvedObject ?? {}) as { readonly name?: string };
      return event.type === 'Warning' && (about.name === name || about.name?.startsWith(`${name}-`));
    });
    const at = (event: KubeObject) =>
      String(event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp);
    const last = warnings.sort((a, b) => at(a).localeCompare(at(b))).at(-1);
    return last === undefined ? undefined : `${String(last.reason)}: ${String(last.message)}`;
  } catch {
    // Only a help for the message: without it the message is still right.
    return undefined;
  }
}
