import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { KubeApiError, type KubeClient, type KubeObject, type ResourceType } from '@istio-ts/kube';
import { applyOne } from './apply.ts';
import { type ControlPlane, controlPlanes } from './control-planes.ts';
import type { ComponentManifests } from './manifests.ts';
import { ownershipLabels, revisionOf } from './ownership.ts';
import { withPolicyOfIstiod } from './plan.ts';
import {
  caBundleOf,
  deactivated,
  defaultTag,
  defaultValidator,
  injectorName,
  onlyOwnRevision,
  tagWebhook,
  tagWebhookName,
  validatorName,
  withCaBundle,
  withOwner,
} from './tag-webhook.ts';

/** What of earlier installations decides about the next one. */
export interface MeshState {
  readonly controlPlanes: readonly ControlPlane[];
  /** The webhooks of the tag `default`. */
  readonly defaultTag: KubeObject | undefined;
  /** The injection webhooks of the revision itself. */
  readonly injector: KubeObject | undefined;
  readonly namespaceExists: boolean;
  /** The user may not read some of this: what was not found may be there. */
  readonly hidden?: true;
}

/** Looks at what is there: one call of each kind. Raises KubeApiError, and Error when the cluster cannot be reached. */
export async function meshState(client: KubeClient, revision: string, istioNamespace: string): Promise<MeshState> {
  const webhook = kubernetesTypes.MutatingWebhookConfiguration;
  const refused: unknown[] = [];
  // Who may not look finds nothing; the cluster says so again when something is to be changed.
  const allowed = async <T>(read: Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await read;
    } catch (error) {
      if (!(error instanceof KubeApiError) || (error.status !== 403 && error.status !== 404)) throw error;
      if (error.status === 403) refused.push(error);
      return otherwise;
    }
  };
  const find = (type: ResourceType, name: string) => allowed<KubeObject | undefined>(client.get(type, name), undefined);
  const [planes, tag, injector, namespace] = await Promise.all([
    allowed<readonly ControlPlane[]>(controlPlanes(client), []),
    find(webhook, tagWebhookName(defaultTag, istioNamespace)),
    find(webhook, injectorName(revision, istioNamespace)),
    find(kubernetesTypes.Namespace, istioNamespace),
  ]);
  return {
    controlPlanes: planes,
    defaultTag: tag,
    injector,
    namespaceExists: namespace !== undefined,
    ...(refused.length > 0 && { hidden: true as const }),
  };
}

/** True when the cluster has nothing of a mesh. */
export const isEmpty = (state: MeshState): boolean =>
  state.controlPlanes.length === 0 &&
  state.defaultTag === undefined &&
  state.injector === undefined &&
  !state.namespaceExists &&
  state.hidden !== true;

/**
 * Which revision is the default one after an installation of `revision`: the first that is installed, and the one called `default`; a default that was chosen
 * by a tag stays as long as its control plane is there. Undefined where there is none.
 */
export function defaultAfter(revision: string, state: MeshState): string | undefined {
  const others = state.controlPlanes.filter((plane) => plane.revision !== revision);
  if (state.defaultTag !== undefined) {
    const chosen = revisionOf(state.defaultTag);
    return others.some((plane) => plane.revision === chosen) ? chosen : revision;
  }
  return others.length === 0 || revision === 'default' ? revision : undefined;
}

/**
 * Adds the webhooks of the default tag to the objects of the default revision's control plane; where there is a default tag, the revision `default` leaves
 * choosing to it.
 */
export function withDefault(
  manifests: readonly ComponentManifests[],
  of: {
    readonly chartsDir: string;
    readonly revision: string;
    readonly istioNamespace: string;
    readonly defaultRevision: string | undefined;
    readonly state: MeshState;
    readonly autoInjectNamespaces: boolean;
  },
): readonly ComponentManifests[] {
  const { revision, istioNamespace, defaultRevision } = of;
  if (defaultRevision === undefined) return manifests;
  return manifests.map((entry) => {
    if (entry.component !== 'Pilot') return entry;
    const injector = entry.objects.find(
      ({ kind, metadata }) =>
        kind === 'MutatingWebhookConfiguration' && metadata.name === injectorName(revision, istioNamespace),
    );
    const validator = entry.objects.find(
      ({ kind, metadata }) =>
        kind === 'ValidatingWebhookConfiguration' && metadata.name === validatorName(revision, istioNamespace),
    );
    if (!injector) return entry;
    const own = entry.objects.map((object) => {
      if (revision !== 'default') return object;
      if (object === injector) return deactivated(object);
      return object === validator ? onlyOwnRevision(object) : object;
    });
    if (defaultRevision !== revision) return { ...entry, objects: own };
    const ca = of.state.injector && caBundleOf(of.state.injector);
    const tag = tagWebhook({
      chartsDir: of.chartsDir,
      tag: defaultTag,
      revision,
      istioNamespace,
      injector: withCaBundle(injector, ca ?? caBundleOf(injector)),
      autoInjectNamespaces: of.autoInjectNamespaces,
    });
    const chosen = [tag, ...(validator ? [withCaBundle(defaultValidator(validator, revision), ca)] : [])];
    return { ...entry, objects: [...own, ...chosen.map((object) => withOwner(object, of.state.injector))] };
  });
}

/** After a first installation: ties the default tag to the control plane that exists only now. Raises KubeApiError. */
export async function tieDefaultTag(
  client: KubeClient,
  manifests: readonly ComponentManifests[],
  revision: string,
  istioNamespace: string,
): Promise<void> {
  const { injector } = await meshState(client, revision, istioNamespace);
  const tagged = manifests
    .flatMap(({ objects }) => objects)
    .filter(({ metadata }) => metadata.labels?.[ownershipLabels.tag] === defaultTag);
  for (const object of tagged) {
    const live = await client.get(await client.resolve(object.apiVersion, object.kind), object.metadata.name ?? '');
    await applyOne(client, withOwner(withPolicyOfIstiod(object, live), injector));
  }
}
