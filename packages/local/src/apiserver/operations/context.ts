import type { Served } from '../registry.ts';
import type { User } from '../auth/user.ts';

/** Everything about a request that the operations need beside the object. */
export interface RequestContext {
  readonly user: User;
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: 'Ignore' | 'Warn' | 'Strict';
  readonly force: boolean;
  /** Texts for `Warning` headers; operations add to it. */
  readonly warnings: string[];
}

/** A resource, or one object of it. `namespace` is '' for cluster-wide resources, `subresource` '' for the object itself. */
export interface Target extends Served {
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
}

/** Deletion options (meta/v1 DeleteOptions) after decoding. */
export interface DeleteOptions {
  readonly gracePeriodSeconds: number | undefined;
  readonly propagation: 'Foreground' | 'Background' | 'Orphan' | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

export const NO_DELETE_OPTIONS: DeleteOptions = {
  gracePeriodSeconds: undefined,
  propagation: undefined,
  uid: undefined,
  resourceVersion: undefined,
};

/** The context of changes that the server makes on its own. */
export function internalContext(manager: string): RequestContext {
  return {
    user: { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] },
    dryRun: false,
    fieldManager: manager,
    fieldValidation: 'Ignore',
    force: false,
    warnings: [],
  };
}
