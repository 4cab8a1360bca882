import type { LabelRequirement, LabelSelector } from '@istio-ts/kube/label-selector';
import { InjectionError } from './errors.ts';
import { isObject, textMap } from './json.ts';

/** A Kubernetes label selector with all of its parts. */
export interface Selector extends Required<LabelSelector> {
  readonly matchExpressions: readonly Required<LabelRequirement>[];
}

/** The selector that a setting has. Raises InjectionError, which names object and field, for what is none. */
export function parseSelector(value: unknown, object: string, field: string): Selector {
  if (!isObject(value)) throw new InjectionError(object, field, 'must be a label selector');
  const expressions = value.matchExpressions ?? [];
  if (!Array.isArray(expressions)) throw new InjectionError(object, `${field}.matchExpressions`, 'must be a list');
  return {
    matchLabels: textMap(value.matchLabels),
    matchExpressions: expressions.map((item, i) => {
      const at = `${field}.matchExpressions[${i}]`;
      const { key, operator, values } = isObject(item) ? item : {};
      if (typeof key !== 'string') throw new InjectionError(object, `${at}.key`, 'is required');
      if (operator !== 'In' && operator !== 'NotIn' && operator !== 'Exists' && operator !== 'DoesNotExist')
        throw new InjectionError(object, `${at}.operator`, 'must be In, NotIn, Exists or DoesNotExist');
      return { key, operator, values: Array.isArray(values) ? values.filter((each) => typeof each === 'string') : [] };
    }),
  };
}

/** True for a selector that says nothing: it selects nothing here. */
export function isEmptySelector(selector: Selector): boolean {
  return Object.keys(selector.matchLabels).length === 0 && selector.matchExpressions.length === 0;
}
