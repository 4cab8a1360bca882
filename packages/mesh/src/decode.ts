import { decodeAndValidate } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import type { ConfigKinds } from './sources.ts';
import { isClosingKind, wrongParts } from './stand-in.ts';

/** What is wrong with a field of an object. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

export type Decoded<Spec> =
  | { readonly ok: true; readonly spec: Spec }
  | { readonly ok: false; readonly problems: readonly FieldError[] };

/**
 * Decodes, defaults and validates an object of one of Istio's kinds. Warnings do not make it invalid; an unknown field does in policies that refuse
 * something, where an API server with newer definitions has let it pass, because ignoring a limit would open what it closes.
 */
export function decodeSpec<K extends keyof ConfigKinds>(kind: K, object: KubeObject): Decoded<ConfigKinds[K]> {
  const { value, problems } = decodeAndValidate(kind, object);
  const errors = isClosingKind(kind) ? wrongParts(problems) : problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) return { ok: false, problems: errors.map(({ path, message }) => ({ path, message })) };
  return { ok: true, spec: value.spec as ConfigKinds[K] };
}
