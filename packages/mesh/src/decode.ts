import type { KubeObject } from '@istio-ts/kube/object';

/** What is wrong with a field of an object. */
export interface FieldProblem {
  readonly path: string;
  readonly message: string;
}

export type Decoded<Spec> =
  | { readonly ok: true; readonly spec: Spec }
  | { readonly ok: false; readonly problems: readonly FieldProblem[] };

/** Decodes, defaults and validates the `spec` of one of Istio's kinds. */
export function decodeSpec<Spec>(object: KubeObject): Decoded<Spec> {
  const { spec } = object;
  if (typeof spec !== 'object' || spec === null)
    return { ok: false, problems: [{ path: 'spec', message: 'is missing' }] };
  return { ok: true, spec: spec as Spec };
}
