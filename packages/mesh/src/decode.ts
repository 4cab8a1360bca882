import { decodeAndValidate } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import type { ConfigKinds } from './sources.ts';

/** What is wrong with a field of an object. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

export type Decoded<Spec> =
  | { readonly ok: true; readonly spec: Spec }
  | { readonly ok: false; readonly problems: readonly FieldError[] };

/** Decodes, defaults and validates an object of one of Istio's kinds. Warnings, for example of unknown fields, do not make it invalid. */
export function decodeSpec<K extends keyof ConfigKinds>(kind: K, object: KubeObject): Decoded<ConfigKinds[K]> {
  const { value, problems } = decodeAndValidate(kind, object);
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0) return { ok: false, problems: errors.map(({ path, message }) => ({ path, message })) };
  return { ok: true, spec: value.spec as ConfigKinds[K] };
}

/**
 * What stands in for an object that is invalid from its first version on, where ignoring it would open what it is to close: an AuthorizationPolicy that
 * allows is taken without its rules, so that it allows nothing. Undefined for all others, and where more than the rules is wrong.
 */
export function decodeRefusing<K extends keyof ConfigKinds>(
  kind: K,
  object: KubeObject,
): Decoded<ConfigKinds[K]> | undefined {
  if (kind !== 'AuthorizationPolicy' || typeof object.spec !== 'object' || object.spec === null) return undefined;
  const { rules: _rules, ...spec } = object.spec as Readonly<Record<string, unknown>>;
  if (spec.action !== undefined && spec.action !== 'ALLOW') return undefined;
  return decodeSpec(kind, { ...object, spec });
}
