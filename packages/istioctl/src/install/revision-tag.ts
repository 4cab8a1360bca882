import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import { ownershipLabels, revisionOf } from './ownership.ts';
import { defaultTag } from './tag-webhook.ts';

/** A name that stands for a revision: namespaces carry the tag, and the tag is moved. */
export interface RevisionTag {
  readonly tag: string;
  readonly revision: string;
  /** Namespaces whose pods are injected by it. */
  readonly namespaces: readonly string[];
}

/** The revision or tag by which a namespace's pods are injected; undefined where they are not. As the selectors of the webhooks have it. */
export function injectedBy(namespace: KubeObject): string | undefined {
  const labels = namespace.metadata.labels ?? {};
  const injection = labels['istio-injection'];
  if (injection !== undefined) return injection === 'enabled' ? defaultTag : undefined;
  return labels[ownershipLabels.revision] || undefined;
}

/** The webhook configurations of all tags. */
export async function tagWebhooks(client: KubeClient): Promise<readonly KubeObject[]> {
  const { items } = await client.list(kubernetesTypes.MutatingWebhookConfiguration, {
    labelSelector: ownershipLabels.tag,
    dropManagedFields: true,
  });
  return items;
}

export const tagOf = (object: KubeObject): string => object.metadata.labels?.[ownershipLabels.tag] ?? '';

/** The tags, by name, out of their webhooks and the namespaces of the cluster. */
export function revisionTags(
  webhooks: readonly KubeObject[],
  namespaces: readonly KubeObject[],
): readonly RevisionTag[] {
  return webhooks
    .map((object) => {
      const tag = tagOf(object);
      return {
        tag,
        revision: revisionOf(object),
        namespaces: namespaces
          .filter((namespace) => injectedBy(namespace) === tag)
          .map(({ metadata }) => metadata.name ?? '')
          .sort(),
      };
    })
    .sort((a, b) => a.tag.localeCompare(b.tag));
}

/** Reads the tags of a cluster. Raises KubeApiError. */
export async function readTags(client: KubeClient): Promise<readonly RevisionTag[]> {
  const [webhooks, { items }] = await Promise.all([tagWebhooks(client), client.list(kubernetesTypes.Namespace)]);
  return revisionTags(webhooks, items);
}
