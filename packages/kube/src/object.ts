/** Metadata of a Kubernetes object, as far as this project reads it. Unknown fields survive because objects are never rebuilt from these types. */
export interface ObjectMeta {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  /** RFC 3339, seconds precision. */
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  readonly managedFields?: readonly unknown[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** Any Kubernetes object; `spec`, `status` and the rest stay untyped until a schema of `@istio-ts/api` has checked them. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

/** Where the API server serves a kind. `group` is '' for the core group. */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  /** Lower-case plural, for example `virtualservices`. */
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
}
