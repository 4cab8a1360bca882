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
      return Number(status.replicas ?? 0) > wanted ? 'an old pod is ending' : undefined;
    }
    case 'CustomResourceDefinition': {
      const conditions = (status.conditions ?? []) as readonly { readonly type: string; readonly status: string }[];
      return conditions.some(({ type, status: is }) => type === 'Established' && is === 'True')
        ? undefined
        : 'not established';
    }
    default:
      return undefined;
  }
}

/** Waits until Deployments and CRDs among the objects are ready; `onWait` hears what is missing. Raises OperatorError when `timeoutMs` has passed. */
export async function waitReady(
  client: KubeClient,
  objects: readonly KubeObject[],
  timeoutMs: number,
  onWait: (text: string) => void,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  const waiting = new Map(
    objects
      .filter(({ kind }) => kind === 'Deployment' || kind === 'CustomResourceDefinition')
      .map((object) => [nameOf(object), object]),
  );
  const types: Readonly<Record<string, ResourceType>> = {
    Deployment: kubernetesTypes.Deployment,
    CustomResourceDefinition: kubernetesTypes.CustomResourceDefinition,
  };
  while (waiting.size > 0) {
    for (const [name, object] of [...waiting]) {
      const type = types[object.kind];
      if (!type) continue;
      const missing = unready(await client.get(type, object.metadata.name ?? '', object.metadata.namespace));
      if (missing === undefined) waiting.delete(name);
      else if (performance.now() > deadline)
        throw new OperatorError(
          `${name} is not ready after ${Math.round(timeoutMs / 1000)} s: ${missing}. See: kubectl get pods -n ${object.metadata.namespace ?? 'default'}; kubectl get events -n ${object.metadata.namespace ?? 'default'}`,
        );
      else onWait(`${name.replace(/^Deployment\//, '')}: ${missing}`);
    }
    if (waiting.size > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
