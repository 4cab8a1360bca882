import type { KubeObject } from '@istio-ts/kube';

/** A condition in an object's status (Kubernetes' meta/v1 Condition). */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

/** Longest message that conditions take (meta/v1 Condition). */
export const maxConditionMessage = 32_768;

const conditionsOf = (object: KubeObject): readonly Condition[] => {
  const status = object.status as { readonly conditions?: readonly Condition[] } | undefined;
  return Array.isArray(status?.conditions) ? status.conditions : [];
};

/** An object's condition of a type. */
export const conditionOf = (object: KubeObject, type: string): Condition | undefined =>
  conditionsOf(object).find((condition) => condition.type === type);

/** All conditions of an object with one of them replaced; undefined where it says so already. */
export function withCondition(object: KubeObject, wanted: Condition, now: Date): readonly Condition[] | undefined {
  const existing = conditionOf(object, wanted.type);
  if (existing?.status === wanted.status && existing.message === wanted.message) return undefined;
  return [
    ...conditionsOf(object).filter(({ type }) => type !== wanted.type),
    { ...wanted, lastTransitionTime: now.toISOString().replace(/\.\d+Z$/, 'Z') },
  ];
}
