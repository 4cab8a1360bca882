import type { ObjectStore } from '../../store/object-store.ts';
import { ApiError, forbidden, notFound } from '../status.ts';
import type { Target } from './context.ts';

/** Refuses creation where the namespace does not exist or is being deleted (NamespaceLifecycle). Raises ApiError 404 or 403. */
export function requireNamespace(store: ObjectStore, target: Target, name: string): void {
  if (!target.definition.namespaced) return;
  const namespace = store.get('/namespaces', '', target.namespace);
  if (namespace === undefined) throw notFound({ group: '', resource: 'namespaces' }, target.namespace);
  if (namespace.metadata.deletionTimestamp !== undefined) {
    const error = forbidden(
      target.definition,
      name,
      `unable to create new content in namespace ${target.namespace} because it is being terminated`,
    );
    throw new ApiError(403, 'Forbidden', error.message, {
      ...error.details,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${target.namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    });
  }
}
