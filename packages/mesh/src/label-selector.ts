import type { MeshConfig } from '@istio-ts/api';

/** A label selector of Kubernetes, as the mesh configuration has it. */
export type LabelSelector = NonNullable<MeshConfig['discoverySelectors']>[number];

/**
 * Whether labels fulfil a selector: all of its labels and expressions; an empty selector takes everything. An expression with an operator that
 * Kubernetes does not know is fulfilled by nothing.
 */
export function labelSelectorMatches(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value) &&
    matchExpressions.every(({ key = '', operator, values = [] }) => {
      const present = Object.hasOwn(labels, key);
      switch (operator) {
        case 'In':
          return present && values.includes(labels[key] ?? '');
        case 'NotIn':
          return !present || !values.includes(labels[key] ?? '');
        case 'Exists':
          return present;
        case 'DoesNotExist':
          return !present;
        default:
          return false;
      }
    })
  );
}
