import type { LabelSelector } from './kinds.ts';

/**
 * Whether labels fulfil a selector (Kubernetes, "Labels and Selectors": all requirements are ANDed). An absent selector
 * matches nothing, an empty one everything.
 */
export function matchesSelector(
  selector: LabelSelector | undefined,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  if (selector === undefined) return false;
  const own = labels ?? {};
  if (!matchesLabels(selector.matchLabels ?? {}, own)) return false;
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const value = own[key];
    switch (operator) {
      case 'In':
        if (value === undefined || !(values ?? []).includes(value)) return false;
        break;
      case 'NotIn':
        if (value !== undefined && (values ?? []).includes(value)) return false;
        break;
      case 'Exists':
        if (value === undefined) return false;
        break;
      case 'DoesNotExist':
        if (value !== undefined) return false;
        break;
      default:
        return false;
    }
  }
  return true;
}

/** Whether `labels` has every pair of `wanted`. */
export function matchesLabels(
  wanted: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  const own = labels ?? {};
  for (const key of Object.keys(wanted)) if (own[key] !== wanted[key]) return false;
  return true;
}
