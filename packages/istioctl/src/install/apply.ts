import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { OperatorError } from './failure.ts';

/** Name under which the API server remembers what installations set. */
export const fieldManager = 'istio-operator';
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

/** An object that the cluster did not take (or let go), and what it said. */
export interface Refusal {
  readonly object: KubeObject;
  readonly reason: string;
}

/**
 * The refusal in a failed call: the API server answered, but not to this object. Everything else (no connection, no valid credentials) concerns every object
 * and is raised as OperatorError.
 */
export function refusalOf(object: KubeObject, error: unknown, what: 'apply' | 'remove' | 'read'): Refusal {
  if (error instanceof KubeApiError && error.status !== 401) return { object, reason: error.message };
  throw new OperatorError(`cannot ${what} ${nameOf(object)}: ${(error as Error).message}`);
}

/** Server-side applies one object; idempotent. Settings that others made to the same fields are overwritten. */
export async function applyOne(client: KubeClient, object: KubeObject, dryRun = false): Promise<KubeObject> {
  const type = await client.resolve(object.apiVersion, object.kind);
  return client.patch(type, object.metadata.name ?? '', object.metadata.namespace, 'apply', object, {
    fieldManager,
    force: true,
    ...(dryRun && { dryRun }),
  });
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

function rankOf({ kind, metadata }: KubeObject): number {
  // The injector's own webhooks may step back behind a tag's: never before the tag's are there.
  if (kind === 'MutatingWebhookConfiguration' && metadata.labels?.['istio.io/tag'] === undefined) return 4;
  return ranks[kind] ?? 3;
}

/**
 * Server-side applies objects, what others need first, and goes on where the cluster refuses one. Resolves with the refusals; raises OperatorError where
 * going on makes no sense.
 */
export async function applyAll(
  client: KubeClient,
  objects: readonly KubeObject[],
  options: { readonly dryRun?: boolean; readonly onApplied?: (object: KubeObject) => void } = {},
): Promise<readonly Refusal[]> {
  const refusals: Refusal[] = [];
  const byRank = new Map<number, KubeObject[]>();
  for (const object of objects) byRank.set(rankOf(object), [...(byRank.get(rankOf(object)) ?? []), object]);
  for (const rank of [...byRank.keys()].sort())
    await forAll(byRank.get(rank) ?? [], async (object) => {
      try {
        await applyOne(client, object, options.dryRun);
        options.onApplied?.(object);
      } catch (error) {
        refusals.push(refusalOf(object, error, 'apply'));
      }
    });
  return refusals;
}

/** Makes the namespace when it is missing; resolves with the refusal where it may not be made. */
export async function ensureNamespace(client: KubeClient, name: string): Promise<Refusal | undefined> {
  const namespace: KubeObject = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'istio-operator-managed': 'Reconcile' } },
  };
  try {
    await client.create(kubernetesTypes.Namespace, namespace);
    return undefined;
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 409) return undefined;
    // Who may not make namespaces may still use one that is there.
    const present = await client.get(kubernetesTypes.Namespace, name).catch(() => undefined);
    return present === undefined ? refusalOf(namespace, error, 'apply') : undefined;
  }
}

/** The refusals as lines for people, by name. */
export function refusalLines(refusals: readonly Refusal[]): string {
  return refusals
    .map(({ object, reason }) => `  ${nameOf(object)}: ${reason}`)
    .sort()
    .join('\n');
}
