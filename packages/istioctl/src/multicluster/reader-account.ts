import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { isNotFound, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { CliError } from '../cli/failure.ts';
import { applyAll } from '../install/apply.ts';
import { readSpec } from '../install/input.ts';
import { generateManifests } from '../install/manifests.ts';

interface Subject {
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
}
const subjectsOf = (object: KubeObject) => (object.subjects ?? []) as readonly Subject[];
const roleOf = (object: KubeObject) => object.roleRef as { readonly kind?: string; readonly name?: string } | undefined;

/** The account with its bindings and their roles, out of everything that an installation consists of. */
export function accountObjects(
  objects: readonly KubeObject[],
  account: string,
  namespace: string,
): readonly KubeObject[] {
  const bindings = objects.filter(
    (object) =>
      /^(Cluster)?RoleBinding$/.test(object.kind) &&
      subjectsOf(object).some((subject) => subject.name === account && subject.namespace === namespace),
  );
  const roles = objects.filter((object) =>
    bindings.some((binding) => roleOf(binding)?.kind === object.kind && roleOf(binding)?.name === object.metadata.name),
  );
  const accounts = objects.filter(({ kind, metadata }) => kind === 'ServiceAccount' && metadata.name === account);
  return [...accounts, ...roles, ...bindings];
}

async function exists(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/**
 * Makes the account by which another cluster's control plane reads this one, as the charts have it, unless it exists. Raises CliError when the charts
 * have no such account, and OperatorError.
 */
export async function ensureAccount(
  client: KubeClient,
  account: string,
  namespace: string,
  options: { readonly create: boolean; readonly chartsDir: () => string; readonly tell: (line: string) => void },
): Promise<void> {
  if (await exists(client.get(kubernetesTypes.ServiceAccount, account, namespace))) return;
  if (!options.create)
    throw new CliError(
      `there is no service account ${account} in namespace ${namespace}: leave out --create-service-account=false, or name another one with --service-account`,
    );
  const chartsDir = options.chartsDir();
  const { spec } = readSpec({ chartsDir, files: [], sets: ['profile=remote'], istioNamespace: namespace });
  const all = generateManifests(chartsDir, spec).flatMap(({ objects }) => objects);
  const objects = accountObjects(all, account, namespace);
  if (!objects.some(({ kind }) => kind === 'ServiceAccount'))
    throw new CliError(
      `there is no service account ${account} in namespace ${namespace}, and the charts have none of this name: create it, or install Istio first`,
    );
  if (!(await exists(client.get(kubernetesTypes.Namespace, namespace))))
    await client.create(kubernetesTypes.Namespace, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace },
    });
  const refusals = (await applyAll(client, objects)) ?? [];
  const [refused] = refusals;
  if (refused)
    throw new CliError(`the cluster refused ${refused.object.kind} ${refused.object.metadata.name}: ${refused.reason}`);
  options.tell(`made service account ${account} in namespace ${namespace}`);
}
