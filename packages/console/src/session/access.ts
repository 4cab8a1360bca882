import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { KubeApiError, type KubeClient } from '@istio-ts/kube';
import { inBatches } from '../sources/in-batches.ts';

/** What may be asked about (authorization.k8s.io, ResourceAttributes). */
export interface Attributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  /** Empty: in all namespaces. */
  readonly namespace: string;
}

/** Whether the user of this client may do it (SelfSubjectAccessReview). */
export async function may(client: KubeClient, resourceAttributes: Attributes): Promise<boolean> {
  const answer = (await client.request('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes },
  })) as { readonly status?: { readonly allowed?: boolean } };
  return answer.status?.allowed === true;
}

/** Namespaces that somebody may look into. */
export interface Visible {
  /** Sorted. */
  readonly names: readonly string[];
  /** All of the cluster: then lists need not be asked for one by one, and what belongs to no namespace may be shown. */
  readonly all: boolean;
}

/**
 * The namespaces whose pods the user may list. `own`, the console's own client, tells the names of namespaces where the user may not list them:
 * names only, and only of those that the user may look into.
 */
export async function visibleNamespaces(client: KubeClient, own: KubeClient): Promise<Visible> {
  const [names, all] = await Promise.all([
    namespaceNames(client).catch((error) => {
      if (error instanceof KubeApiError && error.status === 403) return namespaceNames(own);
      throw error;
    }),
    may(client, { verb: 'list', group: '', resource: 'pods', namespace: '' }),
  ]);
  if (all) return { names, all };
  const allowed = await inBatches(names, (namespace) =>
    may(client, { verb: 'list', group: '', resource: 'pods', namespace }),
  );
  return { names: names.filter((_, at) => allowed[at]), all };
}

async function namespaceNames(client: KubeClient): Promise<readonly string[]> {
  const { items } = await client.list(kubernetesTypes.Namespace, { dropManagedFields: true });
  return items.map(({ metadata }) => metadata.name ?? '').sort();
}

/** Whether the user may change configuration of the mesh anywhere that they see. */
export async function mayWriteSomewhere(client: KubeClient, visible: Visible): Promise<boolean> {
  const attributes = (namespace: string): Attributes => ({
    // What the console does when something is saved.
    verb: 'update',
    group: 'networking.istio.io',
    resource: 'virtualservices',
    namespace,
  });
  if (await may(client, attributes(''))) return true;
  if (visible.all && visible.names.length > 100) return false;
  return (await inBatches(visible.names.slice(0, 100), (namespace) => may(client, attributes(namespace)))).includes(
    true,
  );
}

/**
 * The user of a token: asked of Kubernetes (TokenReview, with the console's own rights; where the console may not, SelfSubjectReview with the token
 * itself). Undefined: the token is not good.
 */
export async function userOf(token: string, own: KubeClient, asCaller: KubeClient): Promise<string | undefined> {
  try {
    const review = (await own.request('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token },
    })) as { readonly status?: { readonly authenticated?: boolean; readonly user?: { readonly username?: string } } };
    return review.status?.authenticated === true ? (review.status.user?.username ?? 'unknown') : undefined;
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.status !== 403) throw error;
  }
  try {
    const review = (await asCaller.request('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
    })) as { readonly status?: { readonly userInfo?: { readonly username?: string } } };
    return review.status?.userInfo?.username;
  } catch (error) {
    if (error instanceof KubeApiError && (error.status === 401 || error.status === 403)) return undefined;
    throw error;
  }
}
