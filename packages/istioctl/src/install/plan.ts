import { isNotFound, KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { fieldManager, forAll, nameOf, type Refusal, refusalOf } from './apply.ts';
import { type ComponentName, componentTitles } from './components.ts';
import type { ComponentManifests } from './manifests.ts';
import { differingPaths } from './object-difference.ts';
import type { Removal } from './prune.ts';

/** What an installation would do with one object. */
export type Change =
  | { readonly action: 'create'; readonly object: KubeObject }
  | {
      readonly action: 'change';
      readonly object: KubeObject;
      /** Settings that get another value. */
      readonly fields: readonly string[];
      /** Settings that others made and that are overwritten, each as `FIELD (set by WHO)`. */
      readonly overwritten: readonly string[];
    }
  | { readonly action: 'keep'; readonly object: KubeObject }
  | { readonly action: 'refuse'; readonly object: KubeObject; readonly reason: string };

export interface ComponentPlan {
  readonly component: ComponentName;
  readonly changes: readonly Change[];
}

export interface Plan {
  readonly components: readonly ComponentPlan[];
  readonly removals: readonly Removal[];
  /** Objects of Helm releases among those to be changed, each as `NAME (release RELEASE)`. */
  readonly helm: readonly string[];
}

/** The plan where nothing of a mesh is in the cluster: no question to the cluster is needed for it. */
export const planFromNothing = (manifests: readonly ComponentManifests[]): Plan => ({
  components: manifests.map(({ component, objects }) => ({
    component,
    changes: objects.map((object) => ({ action: 'create', object })),
  })),
  removals: [],
  helm: [],
});

interface Webhook {
  readonly name: string;
  readonly failurePolicy?: string;
}

/**
 * Validation starts with the policy Ignore and istiod changes it to Fail once it can answer (istio-surface.md, Webhooks): an installation on top keeps that.
 */
export function withPolicyOfIstiod(wanted: KubeObject, live: KubeObject): KubeObject {
  if (wanted.kind !== 'ValidatingWebhookConfiguration') return wanted;
  const policies = new Map(
    ((live.webhooks ?? []) as readonly Webhook[]).map(({ name, failurePolicy }) => [name, failurePolicy]),
  );
  const webhooks = ((wanted.webhooks ?? []) as readonly Webhook[]).map((webhook) =>
    webhook.failurePolicy === 'Ignore' && policies.get(webhook.name) === 'Fail'
      ? { ...webhook, failurePolicy: 'Fail' }
      : webhook,
  );
  return { ...wanted, webhooks };
}

/** Which settings others made, out of the API server's answer to an apply without force. */
export function conflictsOf(error: unknown): readonly string[] | undefined {
  if (!(error instanceof KubeApiError) || error.status !== 409) return undefined;
  const details = error.details as
    | { readonly causes?: readonly { readonly message?: string; readonly field?: string }[] }
    | undefined;
  const causes = details?.causes ?? [];
  if (causes.length === 0) return [error.message];
  return causes
    .map(({ message, field }) => ({
      field: (field ?? '').replace(/^\./, ''),
      who: /conflict with "([^"]*)"/.exec(message ?? '')?.[1] ?? 'someone else',
    }))
    .filter(({ who }) => who !== 'istiod')
    .map(({ field, who }) => `${field} (set by ${who})`);
}

async function changeOf(client: KubeClient, object: KubeObject, checkNew: boolean): Promise<[Change, KubeObject?]> {
  const name = object.metadata.name ?? '';
  const { namespace } = object.metadata;
  try {
    const type = await client.resolve(object.apiVersion, object.kind);
    const attempt = (wanted: KubeObject, force: boolean) =>
      client.patch(type, name, namespace, 'apply', wanted, { fieldManager, force, dryRun: true });
    let live: KubeObject;
    try {
      live = await client.get(type, name, namespace);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      if (checkNew) await attempt(object, true);
      return [{ action: 'create', object }];
    }
    const wanted = withPolicyOfIstiod(object, live);
    let overwritten: readonly string[] = [];
    let after: KubeObject;
    try {
      after = await attempt(wanted, false);
    } catch (error) {
      const conflicts = conflictsOf(error);
      if (conflicts === undefined) throw error;
      overwritten = conflicts;
      after = await attempt(wanted, true);
    }
    const fields = differingPaths(live, after);
    return [
      fields.length === 0
        ? { action: 'keep', object: wanted }
        : { action: 'change', object: wanted, fields, overwritten },
      live,
    ];
  } catch (error) {
    // A kind that comes with this very installation is not known yet.
    if (isNotFound(error)) return [{ action: 'create', object }];
    return [{ action: 'refuse', ...refusalOf(object, error, 'read') }];
  }
}

/**
 * Finds out by dry runs what applying these objects would change. With `checkNew` the cluster checks new objects too (their namespaces must exist). Raises
 * OperatorError when the cluster cannot be asked.
 */
export async function planChanges(
  client: KubeClient,
  manifests: readonly ComponentManifests[],
  checkNew = false,
): Promise<Omit<Plan, 'removals'>> {
  const changes = new Map<KubeObject, Change>();
  const helm: string[] = [];
  await forAll(
    manifests.flatMap(({ objects }) => objects),
    async (object) => {
      const [change, live] = await changeOf(client, object, checkNew);
      changes.set(object, change);
      const release = live?.metadata.annotations?.['meta.helm.sh/release-name'];
      if (change.action === 'change' && release !== undefined) helm.push(`${nameOf(object)} (release ${release})`);
    },
  );
  return {
    components: manifests.map(({ component, objects }) => ({
      component,
      changes: objects.flatMap((object) => changes.get(object) ?? []),
    })),
    helm: helm.sort(),
  };
}

/** What the cluster refuses already now. */
export const refusalsOf = (plan: Pick<Plan, 'components'>): readonly Refusal[] =>
  plan.components.flatMap(({ changes }) =>
    changes.flatMap((change) => (change.action === 'refuse' ? [{ object: change.object, reason: change.reason }] : [])),
  );

/** True when the cluster is already as wanted. */
export const changesNothing = (plan: Plan): boolean =>
  plan.removals.length === 0 &&
  plan.components.every(({ changes }) => changes.every(({ action }) => action === 'keep'));

const fewest = 6;
/** So many names, or all of them with `all`; the rest is counted. */
function listed(lines: readonly string[], all: boolean): readonly string[] {
  if (all || lines.length <= fewest + 1) return lines;
  return [...lines.slice(0, fewest), `    ... and ${lines.length - fewest} more (--dry-run shows all)`];
}

function fieldsShown(fields: readonly string[]): string {
  const [a, b, ...rest] = fields;
  return (
    [a, b].filter(Boolean).join(', ') +
    (rest.length > 0 ? ` and ${rest.length} more ${rest.length === 1 ? 'setting' : 'settings'}` : '')
  );
}

function counts(changes: readonly Change[], removed: number): string {
  const count = (action: Change['action']) => changes.filter((change) => change.action === action).length;
  const parts = [
    [count('create'), 'to create'],
    [count('change'), 'to change'],
    [removed, 'to remove'],
    [count('refuse'), 'refused by the cluster'],
    [count('keep'), 'as they are'],
  ] as const;
  return parts
    .filter(([number]) => number > 0)
    .map(([number, text]) => `${number} ${text}`)
    .join(', ');
}

/** The plan for people: a line for each component, and the names of what is not simply new. With `all` every name. */
export function planLines(plan: Plan, all: boolean): readonly string[] {
  const lines: string[] = [];
  const width = Math.max(...Object.values(componentTitles).map(({ title }) => title.length));
  const titles = Object.keys(componentTitles) as readonly ComponentName[];
  for (const component of titles) {
    const changes = plan.components.filter((entry) => entry.component === component).flatMap((entry) => entry.changes);
    const removals = plan.removals.filter((removal) => removal.component === component);
    if (changes.length === 0 && removals.length === 0) continue;
    lines.push(`  ${componentTitles[component].title.padEnd(width)}  ${counts(changes, removals.length)}`);
    const allNew = changes.every(({ action }) => action === 'create');
    const created = changes.flatMap((change) => (change.action === 'create' ? [`    + ${nameOf(change.object)}`] : []));
    if (!allNew || all) lines.push(...listed(created, all));
    const changed = changes.flatMap((change) =>
      change.action === 'change' ? [`    ~ ${nameOf(change.object)}: ${fieldsShown(change.fields)}`] : [],
    );
    lines.push(...listed(changed, all));
    lines.push(
      ...listed(
        removals.map(({ object }) => `    - ${nameOf(object)}`),
        all,
      ),
    );
    for (const change of changes) {
      if (change.action === 'change')
        for (const overwritten of change.overwritten)
          lines.push(`    ! ${nameOf(change.object)}: overwrites ${overwritten}`);
      if (change.action === 'refuse') lines.push(`    ! ${nameOf(change.object)}: ${change.reason}`);
    }
  }
  const known = new Set<string>(titles);
  const others = plan.removals.filter(({ component }) => component === undefined || !known.has(component));
  if (others.length > 0) {
    lines.push(`  ${'Others'.padEnd(width)}  ${others.length} to remove`);
    lines.push(
      ...listed(
        others.map(({ object }) => `    - ${nameOf(object)}`),
        all,
      ),
    );
  }
  return lines;
}
