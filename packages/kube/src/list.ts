import type { KubeApiError, ListOptions } from './client.ts';
import { joinApiVersion } from './describe.ts';
import type { KubeObject, ResourceType } from './object.ts';
import { queryString, resourcePath } from './paths.ts';
import type { Transport } from './transport.ts';

const pageSize = 500;

interface ListBody {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly Record<string, unknown>[] | null;
}

/**
 * Reads a collection page by page. When the pages expire half-way (410), it starts again without pages.
 * Protocol: Kubernetes API concepts, "Retrieving large results sets in chunks".
 */
export async function listAll<T extends KubeObject>(
  transport: Transport,
  type: ResourceType,
  options: ListOptions & { readonly dropManagedFields?: boolean },
  signal?: AbortSignal,
): Promise<{ items: T[]; resourceVersion: string }> {
  const path = resourcePath(type, options.namespace);
  const selectors = { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector };
  let limit: number | undefined = pageSize;
  let next: string | undefined;
  let items: T[] = [];
  for (;;) {
    const query = queryString({ ...selectors, limit, continue: next });
    let text: string;
    try {
      ({ text } = await transport.text({ method: 'GET', path: path + query, ...(signal && { signal }) }));
    } catch (error) {
      if ((error as Partial<KubeApiError>).status === 410 && next !== undefined) {
        limit = undefined;
        next = undefined;
        items = [];
        continue;
      }
      throw error;
    }
    const body = JSON.parse(text) as ListBody;
    for (const item of body.items ?? []) items.push(complete<T>(item, type, options.dropManagedFields === true));
    next = body.metadata?.continue || undefined;
    if (next === undefined) return { items, resourceVersion: body.metadata?.resourceVersion ?? '' };
  }
}

/** Items of built-in lists lack their own apiVersion and kind; this adds them, and drops managed fields when asked. */
export function complete<T extends KubeObject>(
  item: Record<string, unknown>,
  type: ResourceType,
  dropManagedFields: boolean,
): T {
  if (dropManagedFields) {
    const metadata = item.metadata as { managedFields?: unknown } | undefined;
    if (metadata?.managedFields !== undefined) delete metadata.managedFields;
  }
  if (item.apiVersion !== undefined && item.kind !== undefined) return item as T;
  return { apiVersion: joinApiVersion(type.group, type.version), kind: type.kind, ...item } as unknown as T;
}
