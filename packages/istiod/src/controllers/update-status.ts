import { isNotFound, KubeApiError, type KubeClient, type KubeObject, type ResourceType } from '@istio-ts/kube';

/** Attempts before somebody who keeps writing at the same time wins. */
const attempts = 5;

/**
 * Changes an object's status: reads the object, asks `change` what of the status is to be merged into it (undefined: nothing), and writes that. Whoever
 * writes in between is not overwritten: then it is read again. An object that is gone needs no status. Raises what the API server answers otherwise.
 */
export async function updateStatus(
  client: KubeClient,
  type: ResourceType,
  { namespace, name }: { readonly namespace: string | undefined; readonly name: string },
  change: (object: KubeObject) => Readonly<Record<string, unknown>> | undefined,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const object = await client.get(type, name, namespace);
      const status = change(object);
      if (status === undefined) return;
      const { resourceVersion } = object.metadata;
      await client.patch(
        type,
        name,
        namespace,
        'merge',
        { ...(resourceVersion !== undefined && { metadata: { resourceVersion } }), status },
        { subresource: 'status', fieldManager: 'istiod' },
      );
      return;
    } catch (error) {
      if (isNotFound(error)) return;
      if (!(error instanceof KubeApiError && error.status === 409) || attempt === attempts) throw error;
    }
  }
}
