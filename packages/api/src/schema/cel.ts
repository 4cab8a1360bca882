import type { CelRule } from './schema.ts';

/**
 * Forms of rules that the API server checks by itself, so also while istiod is away. What a rule may cost is limited by the API
 * server's estimate (Kubernetes documentation, "Custom Resource Definitions", "Resource use by validation functions").
 */

/** True where a text, list or map is set and not empty. */
export const filled = (field: string): string => `(has(self.${field}) && self.${field}.size() > 0)`;

export const set = (field: string): string => `has(self.${field})`;

/** At most one of these conditions holds. */
export const atMostOne = (conditions: readonly string[], message: string): CelRule => ({
  rule: `[${conditions.join(', ')}].filter(set, set).size() <= 1`,
  message,
});

export const celRule = (text: string, message: string): CelRule => ({ rule: text, message });
